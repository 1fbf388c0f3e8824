"""The key of each row, moon and id: whole, never missing, unique, and the same in both tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from opencrunch.competition.data import Table
from opencrunch.competition.dtypes import Form, as_numpy
from opencrunch.competition.problems import NAMED, Problem, Problems, listed, shown

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Keys:
    """The keys of a table's rows, in file order."""

    moons: Integers
    ids: Any  # a pyarrow array: int64, uint64 or large_string

    def name(self, row: int) -> str:
        """Return a row's key as an error names it."""
        return f"({self.moons[row]}, {shown(self.ids[row].as_py())})"


def read_keys(table: Table, *, moon: str, id: str) -> Keys:
    """Return the keys of a table; raises CompetitionError that names what is wrong with them."""
    if not table.rows:
        raise Problems([Problem(file=table.file, message="there are no rows")])
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    for column, read in ((moon, _moons), (id, _ids)):
        try:
            found[column] = read(table, column)
        except ValueError as error:
            problems.append(Problem(file=table.file, message=f"column {shown(column)}: {error}"))
    if problems:
        raise Problems(problems)
    keys = Keys(moons=found[moon], ids=found[id])
    codes = _codes(keys, [keys])[0]
    order = np.argsort(codes, kind="stable")
    repeated = order[1:][codes[order][1:] == codes[order][:-1]]
    if len(repeated):
        message = (
            f"{len(repeated):,} row(s) repeat the key ({moon}, {id}) of another: {_named(keys, repeated)}"
        )
        raise Problems([Problem(file=table.file, message=message)])
    return keys


def compare(X: Keys, y: Keys, *, files: tuple[str, str]) -> Iterator[Problem]:
    """Yield the keys that one table has and the other lacks."""
    if X.ids.type != y.ids.type:
        kinds = ["text" if "string" in str(ids.type) else "integers" for ids in (X.ids, y.ids)]
        yield Problem(
            file=files[1],
            message=f"its ids are {kinds[1]}, those of {files[0]} {kinds[0]}; expected the same",
        )
        return
    first, second = _codes(X, [X, y])
    for file, keys, absent, other in (
        (files[1], X, np.flatnonzero(~np.isin(first, second)), files[0]),
        (files[0], y, np.flatnonzero(~np.isin(second, first)), files[1]),
    ):
        if len(absent):
            message = f"{len(absent):,} row(s) of {other} have no row here: {_named(keys, absent)}"
            yield Problem(file=file, message=message)


def orders(X: Keys, y: Keys) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return, for each row of the store, the row of X's file and the row of y's file."""
    order = np.argsort(X.moons, kind="stable")
    first, second = _codes(X, [X, y])
    by_key = np.argsort(second, kind="stable")
    return order, by_key[np.searchsorted(second[by_key], first[order])]


def _codes(reference: Keys, tables: list[Keys]) -> list[Integers]:
    """Return one integer for each row of each table, equal where the keys are."""
    import pyarrow as pa

    ids = pa.chunked_array([keys.ids for keys in tables], type=reference.ids.type).combine_chunks()
    if isinstance(ids, pa.ChunkedArray):  # newer versions of pyarrow give an array
        ids = pa.concat_arrays(ids.chunks)
    encoded = ids.dictionary_encode()
    id_codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    _, moon_codes = np.unique(np.concatenate([keys.moons for keys in tables]), return_inverse=True)
    codes = moon_codes.astype(np.int64) * len(encoded.dictionary) + id_codes
    return np.split(codes, np.cumsum([len(keys.moons) for keys in tables])[:-1])


def _named(keys: Keys, rows: npt.NDArray[np.intp]) -> str:
    text = ", ".join(keys.name(int(row)) for row in rows[:NAMED])
    return text if len(rows) <= NAMED else f"{text} and {len(rows) - NAMED:,} more"


def _moons(table: Table, column: str) -> Integers:
    """Return the moons as integers; whole numbers stored as floats are taken, nothing is rounded."""
    import pyarrow as pa
    from pyarrow import types

    stored = table.type(column)
    if not (types.is_integer(stored) or types.is_floating(stored)):
        raise ValueError(f"moons are stored as {stored}; expected integers")
    values = table.column(column)
    _refuse_missing(values, "moon")
    if types.is_integer(stored):
        try:
            values = values.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise ValueError("moons are too large; expected 64-bit signed integers") from error
        return np.asarray(as_numpy(values, Form(kind="plain", dtype="<i8")))
    numbers = values.to_numpy().astype(np.float64)
    rows = np.flatnonzero(~(np.abs(numbers) < 2.0**53) | (numbers != np.floor(numbers)))
    if len(rows):
        raise ValueError(
            f"{len(rows):,} moon(s) are not integers: {listed(str(value) for value in numbers[rows])}"
        )
    return np.asarray(numbers, np.int64)


def _ids(table: Table, column: str) -> Any:
    """Return the ids as one array: integers, or texts with categories decoded."""
    import pyarrow as pa
    from pyarrow import types

    from opencrunch.competition.dtypes import is_text

    stored = table.type(column)
    values = table.column(column)
    inner = stored.value_type if types.is_dictionary(stored) else stored
    if not (is_text(inner) or types.is_integer(inner)):
        raise ValueError(f"ids are stored as {stored}; expected texts or integers")
    target = pa.large_string() if is_text(inner) else pa.int64()
    try:
        values = values.cast(inner).cast(target)
    except pa.ArrowInvalid as error:
        raise ValueError("ids are too large; expected 64-bit signed integers") from error
    _refuse_missing(values, "id")
    chunks = values.chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], type=target)


def _refuse_missing(values: Any, what: str) -> None:
    if values.null_count:
        rows = np.flatnonzero(values.is_null().to_numpy())
        raise ValueError(f"{len(rows):,} row(s) have no {what}: rows {listed(rows.tolist())}, counted from 0")
