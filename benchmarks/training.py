"""D: training at every moon: engine, bare forks that map a prefix, boolean masks in one process."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd

from benchmarks.measure import Result, against
from benchmarks.workload import EMBARGO, SUBMISSION, Workload, bare_forks, engine, made

ROWS, MOONS, TESTED = 1_000_000, 250, 200
_SAMPLED = 8  # moons for the masks, spread over the test period


def run(scale: int) -> Result:
    """Measure the workload of C, with `train` called before each `infer`."""
    with made(rows=ROWS * scale, moons=MOONS, tested=TESTED, train_frequency=1) as workload:
        engine(workload)
        timing = engine(workload)
        seconds = {
            "bare fork, prefix mapped": bare_forks(workload, train=True),
            "boolean masks": _masks(workload),
            "engine": timing.per_moon,
        }
    return Result(
        benchmark="training",
        scale=scale,
        workload=f"{ROWS * scale:,} rows x 100 float32, {MOONS} moons, {TESTED} tested, trained at each",
        unit="moon",
        cases=against(
            seconds,
            {"engine": "bare fork, prefix mapped", "boolean masks": "bare fork, prefix mapped"},
            {"engine": f"peak {timing.peak_memory / (1 << 20):,.0f} MiB; {timing.total:.1f} s in all"},
        ),
    )


def _masks(workload: Workload) -> float:
    """Return the seconds per moon when rows are selected by a scan of all of them, in one process."""
    scope: dict[str, Any] = {}
    exec(SUBMISSION, scope)
    X = pd.read_parquet(workload.data)
    y = pd.read_parquet(workload.competition / "y.parquet")
    resources = str(workload.directory / "bare")
    step = max(1, workload.tested // _SAMPLED)
    moons = range(workload.first_tested, workload.moons, step)
    started = time.perf_counter()
    for moon in moons:
        known = X["moon"] < moon - EMBARGO
        scope["train"](X[known].reset_index(drop=True), y[known].reset_index(drop=True), resources)
        scope["infer"](X[X["moon"] == moon].reset_index(drop=True), resources)
    return (time.perf_counter() - started) / len(moons)
