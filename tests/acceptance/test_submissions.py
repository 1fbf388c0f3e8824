"""The submissions in tests/submissions: those with requirements or several parts, run as a participant would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.acceptance.conftest import Arena, MakeArena, Record
from tests.competitions.marked import id_of, mark

SUBMISSIONS = Path(__file__).parents[1] / "submissions"


def run(arena: Arena, name: str, **options: object) -> pd.DataFrame:
    """Run a submission that has to succeed and return its prediction."""
    record: Record = arena.run(SUBMISSIONS / name, **options)
    assert record["status"] == "succeeded", record["failure"]
    assert record["deterministic"] is not False, record["determinism"]
    return arena.prediction()


def test_training_follows_the_frequency_and_the_output_is_logged(make_arena: MakeArena) -> None:
    arena = make_arena(train_frequency=4)
    prediction = run(arena, "prints_and_trains")
    log = arena.log()
    assert "training at 6 on 100 rows up to moon 4" in log
    assert "training at 7" not in log
    assert "training at 8 on 140 rows up to moon 6" in log
    assert "predicting 7, trained: False" in log
    means = prediction.groupby("moon")["first"].first()
    assert means[6] == means[7] != means[8]


def test_versions_of_2023_are_installed_and_used(arena: Arena) -> None:
    run(arena, "pinned_old")
    assert "versions 2.1.0 1.24.3 1.1.3 1.3.2" in arena.log()


def test_catboost_may_write_into_the_working_directory(arena: Arena) -> None:
    prediction = run(arena, "catboost_writes")
    assert "written here: True" in arena.log()
    assert "still here: True" not in arena.log()
    assert prediction["first"].nunique() > 5


def test_lightgbm_fitted_at_import_works_in_every_call(arena: Arena) -> None:
    prediction = run(arena, "lightgbm_at_import")
    assert prediction["first"].nunique() > 5


def test_the_platforms_package_is_there_whatever_the_requirements_say(arena: Arena) -> None:
    run(arena, "crunch_in_requirements")
    assert "inside: True columns: Columns bar: tqdm" in arena.log()


def test_numbers_as_objects_in_any_order_count_as_numbers(arena: Arena) -> None:
    prediction = run(arena, "object_numbers")
    X = pd.read_parquet(arena.competition / "X.parquet").query("6 <= moon <= 8")
    assert prediction["id"].tolist() == X["id"].tolist()
    assert prediction["first"].tolist() == X["f0"].astype(float).tolist()
    assert prediction["guess"].tolist() == [1.0] * len(X)


def test_truth_values_count_as_zero_and_one(arena: Arena) -> None:
    prediction = run(arena, "bool_prediction")
    X = pd.read_parquet(arena.competition / "X.parquet").query("6 <= moon <= 8")
    assert prediction["first"].tolist() == (X["f0"] > 0).astype(float).tolist()


def test_permissions_that_a_submission_takes_away_do_not_stop_the_next_call(arena: Arena) -> None:
    prediction = run(arena, "write_mode")
    assert set(prediction["first"]) == {0.5}


def test_what_is_not_known_yet_is_in_no_place_a_submission_can_look_at(make_arena: MakeArena) -> None:
    arena = make_arena(train_frequency=1)
    mark(arena.competition)
    prediction = run(arena, "peeks", determinism=False)
    log = arena.log()
    assert "train 6 found [] and knows [0, 1, 2, 3, 4]" in log  # the search sees what may be seen
    assert "train 8 found [] and knows [0, 1, 2, 3, 4, 5, 6]" in log
    assert log.count("infer") == 3
    assert "out of patience" not in log
    assert set(prediction["first"]) == {0.0}


HOLDERS = {
    "memory": "held = content",
    "objects": "held = np.frombuffer(content, np.float64, offset=len(content) % 8)",
    "files": "(here / 'left.bin').write_bytes(content)",
    "descriptors": "held = os.memfd_create('left'); os.write(held, content)",
}


@pytest.mark.parametrize("place", sorted(HOLDERS))
def test_the_search_finds_what_is_left_in_each_place(arena: Arena, tmp_path: Path, place: str) -> None:
    mark(arena.competition)
    source = (
        "import json, os, pathlib, sys\nimport numpy as np\nimport main\n"
        f"here, y = pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(arena.competition / 'y.parquet')!r})\n"
        "content = y.read_bytes() if len(sys.argv) > 2 else b''\ny.unlink()\n"
        f"{HOLDERS[place]}\n"
        "main.SYSTEM |= set(os.listdir('/')) - {here.parts[1]}\nmain.PATIENCE = 60\n"
        "print(json.dumps(main.unknown(moon=8, embargo=1, places=[sys.argv[1]])))\n"
    )
    (tmp_path / "hold.py").write_text(source)

    def search(*arguments: str) -> set[str]:
        mark_again = Arena(tmp_path / f"again-{len(arguments)}").competition
        (arena.competition / "y.parquet").write_bytes((mark(mark_again) / "y.parquet").read_bytes())
        for path in (mark_again / "y.parquet", mark_again / "X.parquet"):
            path.unlink()
        (arena.competition / "X.parquet").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, str(tmp_path / "hold.py"), place, *arguments],
            env={"PYTHONPATH": str(SUBMISSIONS / "peeks"), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return {line for line in json.loads(done.stdout.splitlines()[-1]) if line.startswith(place)}

    assert search() == set()
    assert {f"{place}: y of {moon}" for moon in range(7, 12)} <= search("held")
    assert id_of(11).startswith("canary-0011")
