"""Interrupted, killed and failed runs: the same command goes on at the next moon, with equal results."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from tests.acceptance.conftest import Arena, MakeArena, infer

# Each prediction depends on what earlier moons left in resources, so that a lost or repeated key shows.
COUNTS = """
    path = "resources/count"
    count = int(open(path).read()) if os.path.exists(path) else 0
    open(path, "w").write(str(count + moon))
    time.sleep(PAUSE)
"""


def command(arena: Arena, submission: Path, out: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "opencrunch.cli", "run", str(submission)),
        *("--competition", str(arena.competition), "--out", str(out), "--seed", "1", *more),
    ]


def done_keys(out: Path) -> int:
    try:
        return (out / "events.jsonl").read_text().count('"event": "key"')
    except FileNotFoundError:
        return 0


def run_until(arena: Arena, submission: Path, out: Path, keys: int, number: int, delay: float = 0.0) -> int:
    """Start a run, send it a signal a moment after so many keys, and return its status."""
    process = subprocess.Popen(
        command(arena, submission, out, "--split", "private"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 60
    while done_keys(out) < keys and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(number)
    return process.wait(timeout=30)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.fixture
def long_arena(make_arena: MakeArena) -> Arena:
    """Give a competition with eleven private moons, of which every third trains."""
    return make_arena(moons=22, train_frequency=3)


@pytest.mark.parametrize("keys", [0, 1, 4, 9])
@pytest.mark.parametrize("delay", [0.0, 0.013])
def test_a_killed_run_goes_on_with_equal_results(long_arena: Arena, keys: int, delay: float) -> None:
    source = infer(COUNTS.replace("PAUSE", "0.02"), "float(count)").replace(
        "def train(): pass", "def train(moon): open('resources/count', 'a').write(str(moon))"
    )
    submission = long_arena.write(source)
    undisturbed = long_arena.run(submission, split="private", seed=1)
    expected = (long_arena.out / "prediction.parquet").read_bytes()
    assert undisturbed["status"] == "succeeded"
    out = long_arena.root / "killed"
    run_until(long_arena, submission, out, keys, signal.SIGKILL, delay)
    resumed = ["--resume"] if out.exists() and any(out.iterdir()) else []
    again = command(long_arena, submission, out, "--split", "private", "--json", *resumed)
    result = subprocess.run(again, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert (out / "prediction.parquet").read_bytes() == expected


def test_ctrl_c_stops_within_a_second_and_leaves_nothing_running(arena: Arena) -> None:
    submission = arena.write(infer("time.sleep(2)"))
    out = arena.root / "interrupted"
    process = subprocess.Popen(
        command(arena, submission, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while done_keys(out) < 1:
        time.sleep(0.01)
    started_by_it = psutil.Process(process.pid).children(recursive=True)
    assert len(alive(started_by_it)) >= 2  # the sandbox and what runs in it
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert time.monotonic() - started < 1.0
    assert process.returncode == 130
    assert f"--resume --out {out}" in said
    assert alive(started_by_it) == []
    again = subprocess.run(
        command(arena, submission, out, "--resume", "--json"), capture_output=True, text=True, timeout=60
    )
    assert again.returncode == 0, again.stderr
    record = json.loads(again.stdout)
    assert record["progress"] == {"done": 3, "total": 3}
    assert [
        event["event"] for event in map(json.loads, (out / "events.jsonl").read_text().splitlines())
    ].count("key") == 3


def test_a_failed_run_is_resumed_where_it_failed(arena: Arena) -> None:
    submission = arena.write(infer("if moon == 8: raise ValueError", "float(moon)"))
    assert arena.run(submission)["failure"]["key"] == 8
    again = arena.run(submission, out=arena.out, resume=True)
    assert again["failure"]["key"] == 8
    events = [json.loads(line) for line in (arena.out / "events.jsonl").read_text().splitlines()]
    assert [event["key"] for event in events if event["event"] == "key"] == [6, 7]


def test_a_finished_run_resumed_changes_nothing(arena: Arena) -> None:
    submission = arena.write(infer("", "float(moon)"))
    arena.run(submission)
    prediction = (arena.out / "prediction.parquet").read_bytes()
    again = arena.run(submission, out=arena.out, resume=True)
    assert again["status"] == "succeeded"
    assert (arena.out / "prediction.parquet").read_bytes() == prediction
    assert (arena.out / "events.jsonl").read_text().count('"event": "key"') == 3


def test_a_second_engine_on_the_same_directory_is_refused(arena: Arena) -> None:
    submission = arena.write(infer("time.sleep(1)"))
    out = arena.root / "shared"
    first = subprocess.Popen(
        command(arena, submission, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while done_keys(out) < 1:
        time.sleep(0.01)
    second = subprocess.run(
        command(arena, submission, out, "--resume"), capture_output=True, text=True, timeout=30
    )
    assert second.returncode == 2
    assert "another run is writing" in second.stderr
    assert first.wait(timeout=30) == 0


def test_a_changed_title_or_metric_is_still_the_same_run(arena: Arena) -> None:
    submission = arena.write(infer("", "float(moon)"))
    first = arena.run(submission)
    toml = arena.competition / "competition.toml"
    toml.write_text(toml.read_text().replace("A tiny competition", "Renamed").replace('"rmse"', '"mae"'))
    again = arena.run(submission, out=arena.out, resume=True)
    assert again["digests"]["run"] == first["digests"]["run"]
    assert again["scores"].keys() == {"spearman", "mae"}


def test_every_adapter_gives_the_same_prediction(any_arena: Arena) -> None:
    body = "noise = np.random.random(len(X_test))"
    any_arena.run(infer(body, "X_test['f0'] * 2 + noise", before="np.random.seed(3)"))
    stored = pd.read_parquet(any_arena.competition / "X.parquet")
    rows = stored[stored["moon"].between(6, 8)]["f0"].to_numpy() * 2
    noise = np.tile(np.random.RandomState(3).random_sample(20), 3)
    assert np.array_equal(any_arena.prediction()["first"], rows + noise)
