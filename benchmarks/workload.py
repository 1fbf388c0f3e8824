"""The cross-sectional workload: a competition of random rows, a light submission, the timing of its run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

FEATURES = 100
EMBARGO = 4

SUBMISSION = """
import numpy, pandas

def train(X_train, y_train, model_directory_path):
    tail = X_train.iloc[-1000:, 2:].to_numpy()
    with open(model_directory_path + "/mean.txt", "w") as file:
        file.write(repr(float(tail.mean())))

def infer(X_test, model_directory_path):
    with open(model_directory_path + "/mean.txt") as file:
        mean = float(file.read())
    return pandas.DataFrame(
        {"id": X_test["id"], "moon": X_test["moon"], "target": X_test["f0"] * numpy.float32(mean)}
    )
"""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A competition and a submission on disk."""

    directory: Path
    moons: int
    tested: int
    rows_per_moon: int

    @property
    def first_tested(self) -> int:
        """The first test moon."""
        return self.moons - self.tested

    @property
    def competition(self) -> Path:
        """The competition's directory."""
        return self.directory / "competition"

    @property
    def data(self) -> Path:
        """X as one parquet file."""
        return self.competition / "X.parquet"


@contextmanager
def made(*, rows: int, moons: int, tested: int, train_frequency: int = 0) -> Iterator[Workload]:
    """Make a competition with about `rows` rows of 100 float32 in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="opencrunch-bench-") as name:
        workload = Workload(
            directory=Path(name), moons=moons, tested=tested, rows_per_moon=max(1, rows // moons)
        )
        _write(workload, train_frequency)
        yield workload


def _write(workload: Workload, train_frequency: int) -> None:
    root, count = workload.competition, workload.rows_per_moon * workload.moons
    root.mkdir()
    (workload.directory / "submission").mkdir()
    (workload.directory / "submission" / "main.py").write_text(SUBMISSION)
    random = np.random.default_rng(0)
    keys = {
        "moon": np.repeat(np.arange(workload.moons), workload.rows_per_moon),
        "id": np.tile(np.arange(workload.rows_per_moon), workload.moons),
    }
    values = random.standard_normal((count, FEATURES), np.float32)
    names = [f"f{number}" for number in range(FEATURES)]
    pd.concat([pd.DataFrame(keys), pd.DataFrame(values, columns=names)], axis=1).to_parquet(workload.data)
    target = random.standard_normal(count, np.float32)
    pd.DataFrame({**keys, "target": target}).to_parquet(root / "y.parquet")
    first = workload.first_tested
    (root / "competition.toml").write_text(
        f"""
name = "bench"
title = "Benchmark"
format = "cross-sectional"
embargo = {EMBARGO}
train_frequency = {train_frequency}
[data]
X = "X.parquet"
y = "y.parquet"
[columns]
moon = "moon"
id = "id"
[columns.features]
default = ["f*"]
[columns.targets.target]
[splits.train]
first = 0
last = {first - 1}
[splits.local]
first = {first}
last = {workload.moons - 1}
[[metrics]]
name = "spearman"
function = "spearman"
target = "target"
"""
    )


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a run took: seconds for one moon in the loop, and in all; bytes of all its processes."""

    per_moon: float
    total: float
    peak_memory: int
    record: dict[str, Any]


def engine(workload: Workload) -> Timing:
    """Run the submission with `crunch run` and time the loop by its events; the first moon is left out."""
    out = workload.directory / f"out-{time.monotonic_ns()}"
    command = [
        sys.executable, "-m", "opencrunch.cli", "run", str(workload.directory / "submission"),
        "--competition", str(workload.competition), "--out", str(out), "--no-determinism", "--json",
    ]  # fmt: skip
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, _Memory(process.pid) as memory:
        output, _ = process.communicate()
    total = time.perf_counter() - started
    if process.returncode != 0:
        raise SystemExit(f"the run failed: {output.decode()[-2000:]}")
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    ends = [event["time"] for event in events if event["event"] == "key"]
    return Timing(
        per_moon=(ends[-1] - ends[0]) / (len(ends) - 1),
        total=total,
        peak_memory=memory.peak,
        record=json.loads(output),
    )


class _Memory(threading.Thread):
    """Samples the proportional memory of a process tree and the shared memory that the engine wrote."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pid = pid
        self._done = threading.Event()

    def __enter__(self) -> _Memory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._done.wait(0.1):
            self.peak = max(self.peak, _proportional(self._pid) + _released())


def _proportional(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in tree:
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except OSError:
            continue
        sizes = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:] if ":" in line}
        total += 1024 * (int(sizes["Pss"]) - int(sizes.get("Pss_Shmem", 0)))  # shared memory is counted whole
    return total


def _released() -> int:
    total = 0
    for directory, _, files in os.walk("/dev/shm"):  # which passes over what vanishes meanwhile
        for name in files if "/opencrunch-release-" in directory else ():
            with suppress(OSError):
                total += os.stat(os.path.join(directory, name)).st_blocks * 512
    return total


def bare_forks(workload: Workload, *, train: bool = False) -> float:
    """Return the seconds per moon of a bare fork that makes the same frame and calls the same function.

    It is the least that a fresh process for each moon can cost: no isolation, no checks, nothing kept. With
    `train`, the child also maps the prefix of all rows before the embargo, private and copied on write.
    """
    names = [f"f{number}" for number in range(FEATURES)]
    count = workload.rows_per_moon
    scope: dict[str, Any] = {}
    exec(SUBMISSION, scope)
    path = workload.directory / "rows.bin"
    if not path.exists():
        pd.read_parquet(workload.data, columns=names).to_numpy().tofile(path)
    resources = workload.directory / "bare"
    resources.mkdir(exist_ok=True)
    (resources / "mean.txt").write_text("0.5")
    keys = np.stack(
        [np.repeat(np.arange(workload.moons), count), np.tile(np.arange(count), workload.moons)], axis=1
    )
    started = time.perf_counter()
    for moon in range(workload.first_tested, workload.moons):
        child = os.fork()
        if child == 0:
            try:
                if train:
                    stop = (moon - EMBARGO) * count
                    known = np.memmap(path, np.float32, "c", shape=(stop, FEATURES))
                    scope["train"](_frame(known, keys[:stop], names), None, str(resources))
                rows = np.fromfile(path, np.float32, count * FEATURES, offset=4 * FEATURES * count * moon)
                own = keys[moon * count : (moon + 1) * count]
                scope["infer"](_frame(rows.reshape(count, -1), own, names), str(resources))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    return (time.perf_counter() - started) / workload.tested


def _frame(rows: Any, keys: Any, names: list[str]) -> pd.DataFrame:
    """Return a frame over the rows and their moons and ids, without a copy."""
    parts = [
        pd.DataFrame(keys, columns=["moon", "id"], copy=False),
        pd.DataFrame(rows, columns=names, copy=False),
    ]
    return pd.concat(parts, axis=1)
