"""E: the same rows in more moons: the cost of a moon must not depend on how many others there are."""

from __future__ import annotations

from benchmarks.measure import Case, Result
from benchmarks.workload import bare_forks, engine, made

ROWS = 1_000_000
MOONS = (50, 250, 1000)


def run(scale: int) -> Result:
    """Measure 1M rows in 50, 250 and 1,000 moons, times the scale in moons; a fifth is trained on."""
    cases = []
    for count in MOONS:
        moons = count * scale
        tested = min(moons * 4 // 5, 400)
        with made(rows=ROWS, moons=moons, tested=tested) as workload:
            engine(workload)
            timing = engine(workload)
            fork = bare_forks(workload)
        bare = f"bare fork, {moons:,} moons"
        cases.append(Case(name=bare, seconds=fork))
        note = f"{workload.rows_per_moon:,} rows a moon; {1e3 * (timing.per_moon - fork):.2f} ms above"
        cases.append(
            Case(
                name=f"engine, {moons:,} moons",
                seconds=timing.per_moon,
                baseline=bare,
                ratio=timing.per_moon / fork,
                note=note,
            )
        )
    return Result(
        benchmark="moons",
        scale=scale,
        workload=f"{ROWS:,} rows x 100 float32, at most 400 moons tested",
        unit="moon",
        cases=tuple(cases),
    )
