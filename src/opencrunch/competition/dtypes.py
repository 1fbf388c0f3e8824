"""From the type that a file stores to the dtype that submissions see: one table, and its refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from pyarrow import types

Kind = Literal["plain", "string", "category", "datetime-tz"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a column is kept: `dtype` is numpy's, None for texts; of a category it is the codes' one."""

    kind: Kind
    dtype: str | None
    timezone: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A row of the table: a stored type, with or without missing values, and the dtype that it becomes."""

    stored: str
    missing: str
    becomes: str
    applies: Callable[[Any, int], bool]
    form: Callable[[Any], Form]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A row of the table for what is refused, and what to store instead."""

    stored: str
    instead: str
    applies: Callable[[Any], bool]


def _plain(stored: Any) -> Form:
    return Form(kind="plain", dtype=_little(stored.to_pandas_dtype()))


def _little(dtype: Any) -> str:
    import numpy as np

    return str(np.dtype(dtype).newbyteorder("<").str)


def _timestamp(stored: Any) -> Form:
    dtype = f"<M8[{stored.unit}]"
    if stored.tz is None:
        return Form(kind="plain", dtype=dtype)
    return Form(kind="datetime-tz", dtype=dtype, timezone=stored.tz)


def _is_category(stored: Any) -> bool:
    if not types.is_dictionary(stored):
        return False
    values = stored.value_type
    return bool(is_text(values) or types.is_integer(values) or types.is_floating(values))


def is_text(stored: Any) -> bool:
    """Return whether a stored type is text, in any of its layouts."""
    is_view: Callable[[Any], bool] = getattr(types, "is_string_view", lambda _: False)
    return bool(types.is_string(stored) or types.is_large_string(stored) or is_view(stored))


RULES = (
    Rule(
        stored="int8 to int64, uint8 to uint64",
        missing="none",
        becomes="the same",
        applies=lambda stored, missing: types.is_integer(stored) and not missing,
        form=_plain,
    ),
    Rule(
        stored="int8 to int64, uint8 to uint64",
        missing="some",
        becomes="float64, NaN where missing",
        applies=lambda stored, missing: types.is_integer(stored) and missing > 0,
        form=lambda stored: Form(kind="plain", dtype="<f8"),
    ),
    Rule(
        stored="float16, float32, float64",
        missing="any",
        becomes="the same, NaN where missing",
        applies=lambda stored, missing: types.is_floating(stored),
        form=_plain,
    ),
    Rule(
        stored="bool",
        missing="none",
        becomes="bool",
        applies=lambda stored, missing: types.is_boolean(stored) and not missing,
        form=lambda stored: Form(kind="plain", dtype="|b1"),
    ),
    Rule(
        stored="string, large_string, string_view",
        missing="any",
        becomes="the text dtype of the installed pandas (object before 3.0, str from then on)",
        applies=lambda stored, missing: is_text(stored),
        form=lambda stored: Form(kind="string", dtype=None),
    ),
    Rule(
        stored="dictionary of texts, integers or floats",
        missing="any",
        becomes="category, with its categories, ordered or not",
        applies=lambda stored, missing: _is_category(stored),
        form=lambda stored: Form(kind="category", dtype=None),
    ),
    Rule(
        stored="timestamp without time zone, in s, ms, us or ns",
        missing="any",
        becomes="datetime64 in the same unit, NaT where missing",
        applies=lambda stored, missing: types.is_timestamp(stored) and stored.tz is None,
        form=_timestamp,
    ),
    Rule(
        stored="timestamp with time zone",
        missing="any",
        becomes="datetime64 with the time zone, in the same unit, NaT where missing",
        applies=lambda stored, missing: types.is_timestamp(stored),
        form=_timestamp,
    ),
    Rule(
        stored="date32, date64",
        missing="any",
        becomes="datetime64[s], NaT where missing",
        applies=lambda stored, missing: types.is_date(stored),
        form=lambda stored: Form(kind="plain", dtype="<M8[s]"),
    ),
    Rule(
        stored="duration, in s, ms, us or ns",
        missing="any",
        becomes="timedelta64 in the same unit, NaT where missing",
        applies=lambda stored, missing: types.is_duration(stored),
        form=lambda stored: Form(kind="plain", dtype=f"<m8[{stored.unit}]"),
    ),
    Rule(
        stored="null (a column without any value)",
        missing="all",
        becomes="float64, all NaN",
        applies=lambda stored, missing: types.is_null(stored),
        form=lambda stored: Form(kind="plain", dtype="<f8"),
    ),
)

REFUSALS = (
    Refusal(
        stored="bool with missing values",
        instead="int8 or float32, or a category",
        applies=types.is_boolean,
    ),
    Refusal(stored="decimal", instead="float64", applies=types.is_decimal),
    Refusal(stored="list, struct, map", instead="one column for each part", applies=types.is_nested),
    Refusal(stored="time", instead="a duration or an integer", applies=types.is_time),
    Refusal(stored="every other type", instead="one of the types of the table", applies=lambda stored: True),
)


def form_of(stored: Any, missing: int) -> Form | Refusal:
    """Return how a column of a stored (pyarrow) type is kept, or why it is refused."""
    for rule in RULES:
        if rule.applies(stored, missing):
            return rule.form(stored)
    return next(refusal for refusal in REFUSALS if refusal.applies(stored))


def as_numpy(column: Any, form: Form) -> Any:
    """Return a plain or time-zone column (pyarrow) as numpy has it, in the form's dtype."""
    import numpy as np

    dtype: Any = np.dtype(form.dtype)
    stored = column.type
    if types.is_null(stored):
        return np.full(len(column), np.nan)
    if dtype.kind in "Mm":
        unit = np.datetime_data(dtype)[0]
        ticks = column
        if types.is_date(stored):
            ticks = column.cast(pa.timestamp("ms")).cast(pa.timestamp(unit), safe=False)
        numbers = ticks.view(pa.int64()) if isinstance(ticks, pa.Array) else _viewed(ticks)
        return numbers.fill_null(np.iinfo(np.int64).min).to_numpy(zero_copy_only=False).view(dtype)
    if types.is_integer(stored) and dtype.kind == "f":
        column = column.cast(pa.float64(), safe=False)
    values = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return values.astype(dtype, copy=False)


def _viewed(column: Any) -> Any:
    return pa.chunked_array([chunk.view(pa.int64()) for chunk in column.chunks], type=pa.int64())
