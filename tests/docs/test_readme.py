"""The submission of the README runs as it stands there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd

from tests.competitions import make_tiny
from tests.docs.pages import DOCS, ROOT, blocks


def test_the_submission_of_the_readme_succeeds(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "README.md", "python")
    (tmp_path / "my-submission").mkdir()
    (tmp_path / "my-submission" / "main.py").write_text(block.text)
    competition = make_tiny(tmp_path / "competition")
    command = [
        "run",
        "my-submission",
        "--competition",
        "competition",
        "--out",
        "out",
        "--seed",
        "1",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "opencrunch.cli", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    jsonschema.validate(record, json.loads((DOCS / "schemas" / "record.json").read_text()))
    assert record["status"] == "succeeded"
    assert record["deterministic"] is True
    assert record["scores"]["spearman"]["value"] is not None
    assert (tmp_path / "out" / "resources" / "model.joblib").is_file()
    _is_linear(competition, pd.read_parquet(tmp_path / "out" / "prediction.parquet"))


def _is_linear(competition: Path, prediction: pd.DataFrame) -> None:
    """The prediction is what least squares, with Ridge's penalty of 1, finds in the moons known by then."""
    X, y = pd.read_parquet(competition / "X.parquet"), pd.read_parquet(competition / "y.parquet")
    features = ["f0", "f1", "f2", "f3"]
    first, known = prediction["moon"].min(), X["moon"] < prediction["moon"].min() - 1
    past = X.loc[known, features].to_numpy(float)
    target = y.loc[known, "first"].to_numpy()
    centred = past - past.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + np.eye(4), centred.T @ (target - target.mean()))
    asked = X[X["moon"].isin(prediction["moon"].unique())]
    expected = (asked[features].to_numpy(float) - past.mean(axis=0)) @ weights + target.mean()
    assert first == 6
    assert prediction["id"].tolist() == asked["id"].tolist()
    for column in ("first", "guess"):
        np.testing.assert_allclose(prediction[column], expected, atol=1e-5)
