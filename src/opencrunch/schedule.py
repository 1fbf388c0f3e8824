"""Which moons a run processes, and at which it trains: spec of the cross-sectional format, as a pure rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class Step:
    """One moon to process."""

    moon: int
    trains: bool


def plan(
    moons: Sequence[int],
    *,
    first: int,
    last: int,
    train_frequency: int,
    force_first_train: bool,
    resources_empty: bool,
) -> tuple[Step, ...]:
    """Return the steps for the moons that have rows between first and last, both included.

    `train` is called where the moon's value is divisible by a frequency that is not 0, and on the first moon
    if resources is empty or the first training is forced.
    """
    tested = sorted(moon for moon in moons if first <= moon <= last)
    return tuple(
        Step(
            moon=moon,
            trains=(train_frequency != 0 and moon % train_frequency == 0)
            or (position == 0 and (resources_empty or force_first_train)),
        )
        for position, moon in enumerate(tested)
    )


def gaps(moons: Sequence[int], *, first: int, last: int) -> tuple[tuple[int, int], ...]:
    """Return the ranges of moons between first and last that have no rows."""
    tested = sorted(moon for moon in moons if first <= moon <= last)
    bounds = [first - 1, *tested, last + 1]
    return tuple((before + 1, after - 1) for before, after in pairwise(bounds) if after - before > 1)
