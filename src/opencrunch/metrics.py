"""The built-in metrics, each computed for all keys at once.

A metric takes the predictions and the truth of all rows, sorted by key, and the offsets of the keys: the rows
of key k are `offsets[k]:offsets[k + 1]`, at least one. docs/metrics.md has the formulas and their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int64]
Direction = Literal["maximize", "minimize"]

# Beyond these a square may overflow or vanish.
_SMALL, _LARGE = 1e-120, 1e120


@dataclass(frozen=True, kw_only=True)
class KeyScores:
    """One value for each key, and which keys scored 0 by declaration because a side of them is constant."""

    values: Floats
    constant: Bools


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """A metric that comes with the engine."""

    function: Callable[[Floats, Floats, Offsets], KeyScores]
    direction: Direction


def pearson(prediction: Floats, truth: Floats, offsets: Offsets) -> KeyScores:
    """Return the linear correlation within each key."""
    constant = _constant(prediction, offsets) | _constant(truth, offsets)
    first = _scaled(_centred(_scaled(prediction, offsets), offsets), offsets)
    second = _scaled(_centred(_scaled(truth, offsets), offsets), offsets)
    return _correlation(first, second, offsets, constant)


def spearman(prediction: Floats, truth: Floats, offsets: Offsets) -> KeyScores:
    """Return the correlation of the ranks within each key; equal values share the average of their ranks."""
    constant = _constant(prediction, offsets) | _constant(truth, offsets)
    first = _centred(ranks(prediction, offsets), offsets)
    second = _centred(ranks(truth, offsets), offsets)
    return _correlation(first, second, offsets, constant)


def rmse(prediction: Floats, truth: Floats, offsets: Offsets) -> KeyScores:
    """Return the root of the mean squared error of each key."""
    with np.errstate(over="ignore"):
        return _never_constant(np.sqrt(_means((prediction - truth) ** 2, offsets)))


def mae(prediction: Floats, truth: Floats, offsets: Offsets) -> KeyScores:
    """Return the mean absolute error of each key."""
    with np.errstate(over="ignore"):
        return _never_constant(_means(np.abs(prediction - truth), offsets))


def r2(prediction: Floats, truth: Floats, offsets: Offsets) -> KeyScores:
    """Return the coefficient of determination of each key; 0 where the truth is constant."""
    constant = _constant(truth, offsets)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        residual = _sums((prediction - truth) ** 2, offsets)
        total = _sums(_centred(truth, offsets) ** 2, offsets)
        return KeyScores(values=np.where(constant, 0.0, 1.0 - residual / total), constant=constant)


BUILT_IN: Mapping[str, BuiltIn] = {
    "spearman": BuiltIn(function=spearman, direction="maximize"),
    "pearson": BuiltIn(function=pearson, direction="maximize"),
    "rmse": BuiltIn(function=rmse, direction="minimize"),
    "mae": BuiltIn(function=mae, direction="minimize"),
    "r2": BuiltIn(function=r2, direction="maximize"),
}
"""The built-in metrics by the name that a competition file gives as `function`."""


def ranks(values: Floats, offsets: Offsets) -> Floats:
    """Return the rank of each row within its key, from 1 on; equal values share their average rank."""
    count, starts, sizes = len(values), offsets[:-1], np.diff(offsets)
    order = np.empty(count, dtype=np.intp)
    for start, stop in pairwise(
        offsets.tolist()
    ):  # many short sorts are faster than one long one by two keys
        order[start:stop] = values[start:stop].argsort()
    order += np.repeat(starts, sizes)
    ordered = values[order]
    begins = np.ones(count, dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    begins[starts] = True
    runs = np.flatnonzero(begins)
    result = np.empty(count)
    if len(runs) == count:
        result[order] = np.arange(1.0, count + 1.0)
    else:
        ends = np.append(runs[1:], count)
        result[order] = np.repeat((runs + ends + 1) / 2.0, ends - runs)
    return result - np.repeat(starts, sizes)


def _correlation(first: Floats, second: Floats, offsets: Offsets, constant: Bools) -> KeyScores:
    """Return the cosine of two centred vectors for each key."""
    lengths = np.sqrt(_sums(first * first, offsets)) * np.sqrt(_sums(second * second, offsets))
    products = _sums(first * second, offsets)
    values = np.divide(products, lengths, out=np.zeros_like(products), where=~constant & (lengths > 0.0))
    return KeyScores(values=np.clip(values, -1.0, 1.0), constant=constant)


def _never_constant(values: Floats) -> KeyScores:
    return KeyScores(values=values, constant=np.zeros(len(values), dtype=np.bool_))


def _constant(values: Floats, offsets: Offsets) -> Bools:
    starts = offsets[:-1]
    return np.asarray(np.minimum.reduceat(values, starts) == np.maximum.reduceat(values, starts))


def _sums(values: Floats, offsets: Offsets) -> Floats:
    return np.asarray(np.add.reduceat(values, offsets[:-1]))


def _means(values: Floats, offsets: Offsets) -> Floats:
    return _sums(values, offsets) / np.diff(offsets)


def _centred(values: Floats, offsets: Offsets) -> Floats:
    return values - np.repeat(_means(values, offsets), np.diff(offsets))


def _scaled(values: Floats, offsets: Offsets) -> Floats:
    """Return the values divided, key by key, by a power of two that brings the largest near 1.

    It is done only where squares would overflow or vanish; a power of two loses nothing.
    """
    peaks = np.maximum.reduceat(np.abs(values), offsets[:-1])
    if not ((peaks > _LARGE) | ((peaks < _SMALL) & (peaks > 0.0))).any():
        return values
    return np.asarray(np.ldexp(values, -np.repeat(np.frexp(peaks)[1], np.diff(offsets))))
