"""How a benchmark measures: the cases take turns, so that a busy machine is equally unfair to all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing measured: seconds for one unit of work; the baseline's name is None for a baseline."""

    name: str
    seconds: float
    baseline: str | None = None
    ratio: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a benchmark found at one scale."""

    benchmark: str
    scale: int
    workload: str
    unit: str
    cases: tuple[Case, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "benchmark": self.benchmark,
            "scale": self.scale,
            "workload": self.workload,
            "unit": self.unit,
            "cases": [vars(case) for case in self.cases],
        }


def take_turns(
    work: Mapping[str, Callable[[], object]], *, rounds: int, repeats: int = 1
) -> dict[str, float]:
    """Return the median seconds for one call of each function; a round calls each `repeats` times."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, function in work.items():
            started = time.perf_counter()
            for _ in range(repeats):
                function()
            seconds[name].append((time.perf_counter() - started) / repeats)
    return {name: statistics.median(times) for name, times in seconds.items()}


def against(
    seconds: Mapping[str, float], baselines: Mapping[str, str], notes: Mapping[str, str] | None = None
) -> tuple[Case, ...]:
    """Return the cases, each with its ratio to the baseline that `baselines` names for it."""
    cases = []
    for name, value in seconds.items():
        baseline = baselines.get(name)
        ratio = value / seconds[baseline] if baseline else None
        note = (notes or {}).get(name, "")
        cases.append(Case(name=name, seconds=value, baseline=baseline, ratio=ratio, note=note))
    return tuple(cases)
