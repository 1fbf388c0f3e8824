"""The reducers: from one value for each key to the value of a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from opencrunch.metrics import Floats


@dataclass(frozen=True, kw_only=True)
class Reduced:
    """The value of a metric, or why it has none."""

    value: float | None
    note: str | None = None


def mean(values: Floats) -> Reduced:
    """Return the mean of the values."""
    return Reduced(value=float(values.mean()))


def total(values: Floats) -> Reduced:
    """Return the sum of the values."""
    return Reduced(value=float(values.sum()))


def sharpe(values: Floats) -> Reduced:
    """Return the mean divided by the sample standard deviation (n - 1), not annualised.

    With fewer than two keys, or equal values everywhere, there is no deviation and so no value.
    """
    if len(values) < 2:
        return Reduced(value=None, note="sharpe needs at least two keys; there is 1")
    deviation = values.std(ddof=1)
    # The deviation of equal values may be rounded to more than 0, that of tiny ones to 0.
    if values.min() == values.max() or deviation == 0.0:
        return Reduced(value=None, note=f"sharpe is undefined: all {len(values)} keys have the same value")
    return Reduced(value=float(values.mean() / deviation))


REDUCERS: Mapping[str, Callable[[Floats], Reduced]] = {"mean": mean, "sharpe": sharpe, "sum": total}
"""The reducers by the name that a competition file gives as `reduce`."""


def reduce(name: str, values: Floats) -> Reduced:
    """Return the value of a metric; without keys, or with values that are not finite, it has none."""
    if not len(values):
        return Reduced(value=None, note="no key has a row with a target")
    if not np.isfinite(values).all():
        return Reduced(value=None, note="the value of a key is too large to be a number")
    with np.errstate(over="ignore", invalid="ignore"):
        reduced = REDUCERS[name](values)
    if reduced.value is not None and not np.isfinite(reduced.value):
        return Reduced(value=None, note="the values of the keys are too large together")
    return reduced
