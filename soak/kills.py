"""Kill -9 of the engine at random moments; after `--resume` the prediction must be the same, by bytes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.competitions import make_tiny

SUBMISSION = """
import os
import pandas as pd

def note(text):
    with open("resources/notes", "a") as file:
        file.write(text)

def train(moon):
    note(f"trained at {moon};")

def infer(X_test, moon):
    note(f"{moon};")
    size = float(os.path.getsize("resources/notes"))
    return pd.DataFrame({"id": X_test["id"], "moon": moon, "first": size, "guess": X_test["f0"] * size})
"""


@dataclass(kw_only=True)
class Result:
    """How often a run was killed, at how many different states, and what went wrong."""

    kills: int = 0
    states: int = 0
    failures: int = 0

    def __str__(self) -> str:
        return f"{self.kills} kills at {self.states} different states, {self.failures} failures"


def run(count: int, seed: int) -> Result:
    """Kill `count` times; a run is resumed, and killed again, until it ends."""
    moments, result, states = random.Random(seed), Result(), set()
    with tempfile.TemporaryDirectory(prefix="opencrunch-soak-") as name:
        root = Path(name)
        competition = make_tiny(root / "competition", moons=30, train_frequency=4)
        (root / "submission").mkdir()
        (root / "submission" / "main.py").write_text(SUBMISSION)
        expected = _finish(root, competition, root / "undisturbed", [])
        number = 0
        while result.kills < count:
            out = root / f"out-{number}"
            number += 1
            while result.kills < count and _kill(root, competition, out, moments):
                result.kills += 1
                journal = out / "work" / "journal.db"
                states.add((out.exists(), journal.exists(), _keys(out)))
            resumed = ["--resume"] if (out / "work").is_dir() else []
            if _finish(root, competition, out, resumed) != expected:
                result.failures += 1
    result.states = len(states)
    return result


def _command(root: Path, competition: Path, out: Path, more: list[str]) -> list[str]:
    return [
        *(sys.executable, "-m", "opencrunch.cli", "run", str(root / "submission")),
        *("--competition", str(competition), "--out", str(out), "--split", "private", "--seed", "1", *more),
    ]


def _kill(root: Path, competition: Path, out: Path, moments: random.Random) -> bool:
    """Start or resume a run and kill it a few keys later; return False where it had ended before."""
    keys = _keys(out) + moments.randrange(0, 6)
    resumed = ["--resume"] if (out / "work").is_dir() else []
    process = subprocess.Popen(
        _command(root, competition, out, resumed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while _keys(out) < keys and process.poll() is None:
        time.sleep(0.002)
    time.sleep(moments.uniform(0.0, 0.04) if keys else moments.uniform(0.0, 1.5))
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def _finish(root: Path, competition: Path, out: Path, more: list[str]) -> bytes:
    ended = subprocess.run(_command(root, competition, out, more), capture_output=True, text=True)
    if ended.returncode != 0:
        print(ended.stderr[-2000:])
        return b""
    return (out / "prediction.parquet").read_bytes() + (out / "resources" / "notes").read_bytes()


def _keys(out: Path) -> int:
    events = out / "events.jsonl"
    return events.read_text().count('"event": "key"') if events.exists() else 0
