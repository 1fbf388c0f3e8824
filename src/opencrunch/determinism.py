"""The determinism check: which calls are repeated, and whether what they gave is the same."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TOLERANCE = 1e-8
FRACTION = 0.1


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first value of a repeated call that is not what it was."""

    key: int
    row: str  # the id
    column: str
    first: float
    second: float


def draw(keys: Sequence[int], *, seed: int, fraction: float = FRACTION) -> tuple[int, ...]:
    """Return the keys whose call is repeated: a tenth by default, at least one, at random, ascending."""
    if not keys:
        return ()
    count = max(1, math.ceil(fraction * len(keys)))
    return tuple(sorted(random.Random(seed).sample(list(keys), count)))


def compare(
    first: np.ndarray[Any, Any],
    second: np.ndarray[Any, Any],
    *,
    key: int,
    ids: Sequence[Any],
    columns: Sequence[str],
) -> Difference | None:
    """Return the first value, by row then column, that differs by more than 1e-8."""
    differs = np.abs(first - second) > TOLERANCE
    if not differs.any():
        return None
    row, column = (int(index) for index in np.argwhere(differs)[0])
    return Difference(
        key=key,
        row=str(ids[row]),
        column=columns[column],
        first=float(first[row, column]),
        second=float(second[row, column]),
    )
