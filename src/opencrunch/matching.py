"""Which row of a prediction answers which row of the truth: by moon and id, whatever their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opencrunch.errors import OpenCrunchError, OrganiserError, ParticipantError

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.intp]

NAMED_ROWS = 10


def match(prediction: pd.DataFrame, truth: pd.DataFrame, *, moon: str, id: str) -> Positions:
    """Return, for each row of the truth, the position of the prediction's row with the same moon and id.

    Values are compared as values, whatever their dtype: 3 equals 3.0. Rows that are missing, extra or
    duplicate in the prediction are a ParticipantError that names at most ten of each kind; a truth without
    unique keys is an OrganiserError.
    """
    for name in (moon, id):
        _require(prediction, name, ParticipantError, "prediction")
        _require(truth, name, OrganiserError, "truth")
    codes = _codes(prediction, truth, (moon, id))
    given, expected = codes[: len(prediction)], codes[len(prediction) :]
    count = int(codes.max(initial=-1)) + 1
    times_given, times_expected = np.bincount(given, minlength=count), np.bincount(expected, minlength=count)
    if (times_expected > 1).any():
        rows = np.flatnonzero(_repeats(expected, count))
        raise OrganiserError(f"the truth has duplicate rows: {_name_rows(truth, rows, moon, id)}")
    problems = {
        "missing": (truth, np.flatnonzero(times_given[expected] == 0)),
        "extra": (prediction, np.flatnonzero(times_expected[given] == 0)),
        "duplicate": (prediction, np.flatnonzero(_repeats(given, count))),
    }
    found = [
        f"{len(rows)} {kind}: {_name_rows(frame, rows, moon, id)}"
        for kind, (frame, rows) in problems.items()
        if len(rows)
    ]
    if found:
        message = f"the prediction's rows are not those of the truth: {'; '.join(found)}"
        raise ParticipantError(message, cause="bad-result")
    positions = np.empty(count, dtype=np.intp)
    positions[given] = np.arange(len(given))
    return positions[expected]


def _require(frame: pd.DataFrame, name: str, error: type[OpenCrunchError], what: str) -> None:
    """Refuse a frame without the column, or with nulls in it."""
    if name not in frame.columns:
        raise error(f'the {what} has no column "{name}"; it has {list(frame.columns)}')
    nulls = int(frame[name].isna().sum())
    if nulls:
        raise error(f'the {what} has {nulls} rows without a value in column "{name}"')


def _codes(prediction: pd.DataFrame, truth: pd.DataFrame, names: tuple[str, str]) -> Positions:
    """Return a number for each row of both frames, the prediction's first; equal keys have equal numbers."""
    import pandas as pd

    combined = np.zeros(len(prediction) + len(truth), dtype=np.int64)
    for name in names:
        codes, values = pd.factorize(_together(comparable(prediction[name]), comparable(truth[name])))
        combined = combined * max(len(values), 1) + codes
    return np.asarray(pd.factorize(combined)[0], dtype=np.intp)


def comparable(column: pd.Series) -> Array:
    """Return a column as an array in which equal values are equal: integers where nothing is lost."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    values: Array = column.to_numpy()
    if values.dtype.kind in "bi" or (values.dtype.kind == "u" and (values < 2**63).all()):
        return values.astype(np.int64)
    if values.dtype.kind == "f" and (np.abs(values) < 2.0**53).all() and (values == np.floor(values)).all():
        return values.astype(np.int64)
    if values.dtype.kind == "O" and len(values) and pd.api.types.infer_dtype(values) in _NUMBERS:
        exact = column.astype(object)
        numbers = pd.to_numeric(exact)
        return comparable(numbers) if numbers.dtype.kind in "bif" and (numbers == exact).all() else values
    return values


_NUMBERS = ("integer", "floating", "mixed-integer-float", "boolean")


def _together(first: Array, second: Array) -> Array:
    if first.dtype.kind != second.dtype.kind:
        first, second = first.astype(object), second.astype(object)
    return np.concatenate([first, second])


def _repeats(codes: Positions, count: int) -> npt.NDArray[np.bool_]:
    """Return which rows repeat a key that an earlier row has."""
    first = np.full(count, -1, dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return np.asarray(first[codes] != np.arange(len(codes)))


def _name_rows(frame: pd.DataFrame, rows: Positions, moon: str, id: str) -> str:
    shown = frame[[moon, id]].iloc[rows[:NAMED_ROWS]]
    pairs = zip(shown[moon].tolist(), shown[id].tolist(), strict=True)
    text = ", ".join(f"({moon} {one}, {id} {json_text(other)})" for one, other in pairs)
    more = len(rows) - NAMED_ROWS
    return f"{text} and {more} more" if more > 0 else text


def json_text(value: object) -> str:
    """Return a value as a message shows it: strings in quotes."""
    return f'"{value}"' if isinstance(value, str) else str(value)
