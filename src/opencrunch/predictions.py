"""What `infer` returned, checked against the rows that it was given and put in their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from opencrunch import wire
from opencrunch.errors import CallError
from opencrunch.journal import Entry

if TYPE_CHECKING:
    from opencrunch.competition.store import Store

SHOWN = 10
QUOTED = 100  # characters of one value
Values = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a moon's prediction must hold."""

    moon: int
    ids: Values  # (rows,), in the order of the file
    moon_column: str
    id_column: str
    prediction_columns: tuple[str, ...]

    @property
    def limits(self) -> wire.ResultLimits:
        """What is read of a result; a larger one is refused by its size alone."""
        rows = 2 * len(self.ids) + 100_000
        width = 2 + len(self.prediction_columns)
        return wire.ResultLimits(rows=rows, columns=1000, size=(64 << 20) + 256 * rows * width)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns that a prediction must have, and where its ids come from."""

    store: Store
    moon_column: str
    id_column: str
    prediction_columns: tuple[str, ...]

    def expected(self, moon: int) -> Expected:
        """Return what the prediction of a moon must hold."""
        rows = self.store.rows(moon, moon)
        return Expected(
            moon=moon,
            ids=np.asarray(self.store.column("X", self.id_column, rows)),
            moon_column=self.moon_column,
            id_column=self.id_column,
            prediction_columns=self.prediction_columns,
        )

    def assemble(self, entries: Iterable[Entry]) -> pd.DataFrame:
        """Return the predictions of the keys that were done; moon and id as the data have them."""
        parts = []
        for entry in entries:
            rows = self.store.rows(entry.key, entry.key)
            frame = self.store.frame("X", rows, (self.moon_column, self.id_column)).reset_index(drop=True)
            for position, name in enumerate(self.prediction_columns):
                frame[name] = np.array(entry.prediction[:, position])
            parts.append(frame)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def check(result: wire.Table | wire.Other, expected: Expected, *, function: str = "infer") -> Values:
    """Return the predictions, float64 of shape (rows, prediction columns), in the order of `expected.ids`.

    Raises CallError (bad-result) that names everything that differs.
    """
    problems = list(_problems(result, expected))
    if problems:
        raise CallError(
            f"{function}() returned a result that cannot be taken: " + "; ".join(problems),
            cause="bad-result",
            function=function,
            key=expected.moon,
            details={"problems": problems},
        )
    assert isinstance(result, wire.Table)
    columns = {column.name: column.values for column in result.columns}
    order = _positions(columns[expected.id_column], expected.ids)
    arranged = np.empty((len(expected.ids), len(expected.prediction_columns)), np.float64)
    for position, name in enumerate(expected.prediction_columns):
        arranged[order, position] = columns[name]
    return arranged


def _problems(result: wire.Table | wire.Other, expected: Expected) -> Iterable[str]:
    if isinstance(result, wire.Other):
        given = "None" if result.name == "none" else f"a {result.name}"
        yield f"it is {given}, not a pandas DataFrame"
        return
    rows = len(expected.ids)
    if result.rows > expected.limits.rows or result.width > expected.limits.columns:
        yield f"it has {result.rows:,} rows and {result.width:,} columns; {rows:,} rows belong there"
        return
    names = [column.name if column.is_text else f"{column.name} (no text)" for column in result.columns]
    wanted = (expected.id_column, expected.moon_column, *expected.prediction_columns)
    column_problems = list(_column_problems(names, wanted))
    yield from column_problems
    if column_problems:
        return
    columns = {column.name: column for column in result.columns}
    yield from _id_problems(columns[expected.id_column], expected)
    yield from _moon_problems(columns[expected.moon_column], expected)
    for name in expected.prediction_columns:
        yield from _value_problems(columns[name], columns[expected.id_column].values)


def _column_problems(names: Sequence[str], wanted: Sequence[str]) -> Iterable[str]:
    missing = [name for name in wanted if name not in names]
    extra = [name for name in names if name not in wanted]
    repeated = sorted({name for name in names if names.count(name) > 1})
    for what, found in (("missing", missing), ("extra", extra), ("repeated", repeated)):
        if found:
            yield f"{what} column{'s' if len(found) > 1 else ''} {_quote(found)}"
    if missing or extra:
        yield f"expected exactly {_quote(wanted)}"


def _id_problems(column: wire.Column, expected: Expected) -> Iterable[str]:
    if column.values is None:
        yield f"column '{column.name}' holds {column.holds or column.of} objects, not ids"
        return
    given, known = _comparable(column.values, expected.ids)
    given_index, known_index = pd.Index(given), pd.Index(known)
    positions = known_index.get_indexer(given_index)
    extra = given_index[positions < 0].unique()
    duplicated = given_index[given_index.duplicated()].unique()
    missing = known_index[~known_index.isin(given_index)]
    for what, found in (("missing", missing), ("extra", extra), ("duplicate", duplicated)):
        if len(found):
            yield f"{len(found):,} {what} id{'s' if len(found) > 1 else ''} {_quote(found)}"


def _moon_problems(column: wire.Column, expected: Expected) -> Iterable[str]:
    values = column.values
    if values is None:
        yield f"column '{column.name}' holds {column.holds or column.of} objects, not moons"
        return
    numeric = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = numeric != expected.moon
    if wrong.any():
        shown = list(dict.fromkeys(str(value) for value in values[wrong].tolist()))
        yield (
            f"column '{column.name}' must hold {expected.moon} and holds {_quote(shown)} "
            f"in {int(wrong.sum()):,} row{'s' if wrong.sum() > 1 else ''}"
        )


def _value_problems(column: wire.Column, ids: Values | None) -> Iterable[str]:
    values = column.values
    if values is None or values.dtype == object:
        kind = column.holds or column.of or "text"
        yield f"column '{column.name}' is not numeric: it holds {kind}"
        return
    numbers = values.astype(np.float64, copy=False)
    for what, bad in (("NaN", np.isnan(numbers)), ("infinite values", np.isinf(numbers))):
        if bad.any():
            where = (
                f", for ids {_quote(ids[bad].tolist())}" if ids is not None and len(ids) == len(bad) else ""
            )
            yield f"column '{column.name}' holds {what} in {int(bad.sum()):,} of {len(bad):,} rows{where}"


def _positions(given: Values | None, known: Values) -> Values:
    assert given is not None
    left, right = _comparable(given, known)
    positions: Values = pd.Index(right).get_indexer(pd.Index(left))
    return positions


def _comparable(given: Values, known: Values) -> tuple[Values, Values]:
    """Return both in a form in which equal ids are equal, whatever their dtypes were."""
    if given.dtype == object and known.dtype == object:
        return given, known
    if given.dtype == object or known.dtype == object:
        return _as_text(given), _as_text(known)
    return _as_integers(given), _as_integers(known)


def _as_integers(values: Values) -> Values:
    """Return whole numbers as integers, which compare exactly; others as float64."""
    if values.dtype.kind != "f":
        return values
    wide = values.astype(np.float64)
    whole = np.isfinite(wide) & (wide == np.floor(wide)) & (np.abs(wide) < 2**63)
    return wide.astype(np.int64) if whole.all() else wide


def _as_text(values: Values) -> Values:
    if values.dtype == object:
        return values
    whole = [int(value) if float(value).is_integer() else value for value in values.tolist()]
    return np.array([str(value) for value in whole], dtype=object)


def _quote(values: Iterable[Any]) -> str:
    listed = list(values)
    shown = ", ".join(repr(value)[:QUOTED] for value in listed[:SHOWN])
    return shown if len(listed) <= SHOWN else f"{shown} and {len(listed) - SHOWN:,} more"
