"""C: the loop over test moons, trained once: engine, bare forks, a new process that reads everything."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.measure import Result, against
from benchmarks.workload import SUBMISSION, Workload, bare_forks, engine, made

ROWS, MOONS, TESTED = 1_000_000, 250, 200
_SAMPLED = 3  # moons for the baseline that needs seconds for each


def run(scale: int) -> Result:
    """Measure 1M rows x 100 float32 x 250 moons, times the scale in rows; 200 moons are tested."""
    with made(rows=ROWS * scale, moons=MOONS, tested=TESTED) as workload:
        engine(workload)  # prepares the data and the environment
        timing = engine(workload)
        seconds = {
            "bare fork": bare_forks(workload),
            "process per moon": _process_per_moon(workload),
            "engine": timing.per_moon,
        }
        data = workload.rows_per_moon * MOONS * 4 * 100
    extra = (timing.peak_memory - data) / (1 << 20)
    note = (
        f"{1e3 * (seconds['engine'] - seconds['bare fork']):.2f} ms above the bare fork; "
        f"peak {timing.peak_memory / (1 << 20):,.0f} MiB, the data once {extra:+,.0f} MiB; "
        f"{timing.total:.1f} s in all"
    )
    return Result(
        benchmark="loop",
        scale=scale,
        workload=f"{ROWS * scale:,} rows x 100 float32, {MOONS} moons, {TESTED} tested, trained once",
        unit="moon",
        cases=against(seconds, {"engine": "bare fork", "process per moon": "bare fork"}, {"engine": note}),
    )


def _process_per_moon(workload: Workload) -> float:
    """Return the seconds per moon when each moon starts Python, reads X and takes its rows by a mask."""
    program = (
        f"import pandas, sys\n{SUBMISSION}\n"
        f"X = pandas.read_parquet({str(workload.data)!r})\n"
        f"rows = X[X['moon'] == int(sys.argv[1])].reset_index(drop=True)\n"
        f"infer(rows, {str(workload.directory / 'bare')!r})\n"
    )
    started = time.perf_counter()
    for moon in range(workload.first_tested, workload.first_tested + _SAMPLED):
        subprocess.run([sys.executable, "-c", program, str(moon)], check=True)
    return (time.perf_counter() - started) / _SAMPLED
