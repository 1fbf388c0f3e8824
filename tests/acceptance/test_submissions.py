"""The submissions in tests/submissions: with requirements, or of several parts, run as by a participant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.acceptance.conftest import Arena, MakeArena, Record
from tests.competitions.marked import mark, marked

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
    arena = make_arena(train_frequency=1, limits={"call_time": '"200 s"'})
    mark(arena.competition)
    prediction = run(arena, "peeks", determinism=False)
    log = arena.log()
    assert "train 6 found [] and knows [0, 1, 2, 3, 4]" in log  # the search sees what may be seen
    assert "train 8 found [] and knows [0, 1, 2, 3, 4, 5, 6]" in log
    assert log.count("found []") == 6
    assert "out of patience" not in log
    assert set(prediction["first"]) == {0.0}


HOLDERS = {
    "memory": "held = content",
    "objects": "held = [np.frombuffer(content, np.float64)]",
    "files": "open(root + '/left.bin', 'wb').write(content)",
    "descriptors": "held = os.memfd_create('left'); os.write(held, content)",
}
SEARCH = """
import json, os, sys
import numpy as np
import main
place, root, do = sys.argv[1:]
content = sys.stdin.buffer.read()
main.ROOT, main.processes = root, lambda: [str(os.getpid())]
exec(do)
print(json.dumps(main.unknown(moon=8, embargo=1, places=[place])))
"""


@pytest.mark.parametrize("place", sorted(HOLDERS))
def test_the_search_finds_what_is_left_in_each_place(tmp_path: Path, place: str) -> None:
    moons = np.repeat(np.arange(12), 20)
    targets = marked(np.random.default_rng(0).normal(size=240), moons).tobytes()

    def search(content: bytes) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", SEARCH, place, str(tmp_path), HOLDERS[place]],
            input=content,
            env={"PYTHONPATH": str(SUBMISSIONS / "peeks")},
            capture_output=True,
            check=True,
        )
        return list(json.loads(done.stdout.splitlines()[-1]))

    assert search(targets[: 7 * 20 * 8]) == []  # moons 0 to 6 are known at moon 8
    assert search(targets) == sorted(f"{place}: y of {moon}" for moon in range(7, 12))
