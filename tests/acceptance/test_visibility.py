"""Who sees what: nothing of hidden data is in any file of the participant's tree."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.acceptance.conftest import Arena, infer
from tests.competitions import CANARY

PRINTS = """
    print(X_test, float(X_test["f0"].iloc[0]))
    open("resources/X", "wb").write(X_test["f0"].to_numpy().astype("float64").tobytes())
"""
RAISES = """
    text = str(int(X_test["f0"].iloc[0]))
    raise type("Leak" + text, (ValueError,), {})(text)
"""
NAMED = """
    text = "f" + str(int(X_test["f0"].iloc[0]))
    scope = {}
    exec(compile("def " + text + "(): raise ValueError(1)", text, "exec"), scope)
    scope[text]()
"""
EXITS = "os._exit(int(X_test['f0'].iloc[0]) % 200 + 1)"


MARKS = (
    b"98765",
    b"9.8765",
    np.float32(CANARY).tobytes(),
    np.float64(CANARY).tobytes()[-4:],  # sign, exponent and the first digits: noise does not reach them
    np.int64(int(CANARY)).tobytes()[:4],
)


def leaks(directory: Path) -> list[str]:
    """Return the files below a directory in which hidden data are, in whatever form."""
    found = []
    for path in directory.rglob("*"):
        data = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        if path.suffix == ".parquet":
            data += pd.read_parquet(path).to_csv().encode()
        if any(mark in data for mark in MARKS):
            found.append(path.name)
    return found


FORMS = {
    "text": lambda frame, path: path.write_text(frame.to_string()),
    "short text": lambda frame, path: path.write_text(f"{frame['f0'].iloc[0]:e}"),
    "float32": lambda frame, path: frame["f0"].to_numpy().tofile(path),
    "float64": lambda frame, path: frame["f0"].to_numpy().astype("float64").tofile(path),
    "pickle": lambda frame, path: frame.to_pickle(path),
    "parquet": lambda frame, path: frame.to_parquet(path.with_suffix(".parquet")),
    "a name": lambda frame, path: path.with_name(str(int(frame["f0"].iloc[0]))).touch(),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_search_for_canaries_finds_every_form(arena: Arena, tmp_path: Path, form: str) -> None:
    stored = pd.read_parquet(arena.competition / "X.parquet")
    place = tmp_path / "place"
    place.mkdir()
    FORMS[form](stored[stored["moon"] < 9], place / "released")
    assert leaks(place) == []
    FORMS[form](stored[stored["moon"] == 10], place / "hidden")
    assert len(leaks(place)) == 1


@pytest.mark.parametrize("body", [PRINTS, RAISES, NAMED, EXITS])
def test_no_canary_is_in_the_participants_tree(arena: Arena, body: str) -> None:
    arena.run(infer(body, "X_test['f0'].to_numpy()"), split="public")
    assert leaks(arena.out / "participant") == []
    assert (arena.out / "participant" / "record.json").exists()


def test_the_organiser_sees_what_the_participant_does_not(arena: Arena) -> None:
    record = arena.run(infer(PRINTS, "X_test['f0'].to_numpy()"), split="public")
    assert record["status"] == "succeeded"
    assert {"log.txt", "prediction.parquet"} <= {path.name for path in arena.out.iterdir()}
    assert "log.txt" in leaks(arena.out)


def test_a_participant_learns_type_file_and_line_of_a_failure_on_hidden_data(arena: Arena) -> None:
    arena.run(infer("canary = X_test['f0'].iloc[0]\nraise KeyError(canary)"), split="public")
    failure = json.loads((arena.out / "participant" / "record.json").read_text())["failure"]
    assert failure["cause"] == "exception"
    assert failure["message"].startswith("KeyError;")
    assert "main.py, line" in failure["traceback"]
    assert "in infer" in failure["traceback"]


def test_on_released_data_the_participant_sees_everything(arena: Arena) -> None:
    arena.run(infer("print('hello')"))
    names = {path.name for path in (arena.out / "participant").iterdir()}
    assert names == {"record.json", "log.txt", "events.jsonl", "prediction.parquet", "resources"}
    ours = (arena.out / "record.json").read_bytes()
    assert (arena.out / "participant" / "record.json").read_bytes() == ours


def test_scores_are_shown_where_the_split_says_so(arena: Arena) -> None:
    toml = arena.competition / "competition.toml"
    toml.write_text(
        toml.read_text().replace("first = 9, last = 10", 'first = 9, last = 10, visibility = "scores"')
    )
    arena.run(infer("", "X_test['f0'].to_numpy()"), split="public")
    shown = json.loads((arena.out / "participant" / "record.json").read_text())
    assert set(shown["scores"]["spearman"]) == {"value", "direction", "keys"}
    assert leaks(arena.out / "participant") == []
