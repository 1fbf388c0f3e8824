"""The prepared store: a competition's data as runs map them, written once and never again.

Rows are sorted by moon; a block is a run of adjacent columns of one dtype, row after row in one file.
docs/competition-file.md has the layout.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opencrunch.errors import PlatformError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
Integers = npt.NDArray[np.int64]
Values = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """An open store; `offsets[k]` is the first row of `moons[k]`, in both tables."""

    path: Path
    digest: str
    moons: Integers
    offsets: Integers
    tables: Mapping[str, dict[str, Any]]
    digests: Mapping[str, list[str]]

    def table(self, name: str) -> dict[str, Any]:
        """Return the description of a table: rows, columns, blocks."""
        return self.tables[name]

    def column_names(self, table: str) -> list[str]:
        """Return a table's column names, in the organiser's order."""
        return [column["name"] for column in self.tables[table]["columns"]]

    def rows(self, first: int, last: int) -> slice:
        """Return the rows of the moons from first to last, both within."""
        bounds = (np.searchsorted(self.moons, first, "left"), np.searchsorted(self.moons, last, "right"))
        start, stop = (int(self.offsets[bound]) for bound in bounds)
        return slice(start, max(start, stop))

    def digest_until(self, table: str, moon: int) -> str:
        """Return the digest of all rows up to a moon, itself included; "" where there are none."""
        position = int(np.searchsorted(self.moons, moon, "right"))
        return self.digests[table][position - 1] if position else ""

    def column(self, table: str, name: str, rows: slice) -> Values:
        """Return a column's values; texts and categories as objects, missing ones as None."""
        block, position = self._find(table, name)
        start, stop = self._bounds(table, rows)
        if block["kind"] == "string":
            return _objects(self._strings(block, start, stop))
        values = self._plain(block, start, stop)[:, position]
        if block["kind"] == "category":
            decoded = np.array([*block["categories"], None], dtype=object)
            return decoded[values]
        return np.ascontiguousarray(values)

    def frame(self, table: str, rows: slice, columns: Iterable[str]) -> pd.DataFrame:
        """Return columns as a frame with their own dtypes, indexed from 0."""
        import pandas as pd

        start, stop = self._bounds(table, rows)
        series = {name: self._series(table, name, start, stop) for name in columns}
        return pd.DataFrame(series, index=pd.RangeIndex(stop - start))

    def _series(self, table: str, name: str, start: int, stop: int) -> pd.Series:
        import pandas as pd

        block, position = self._find(table, name)
        if block["kind"] == "string":
            return self._strings(block, start, stop).to_pandas()
        values = np.ascontiguousarray(self._plain(block, start, stop)[:, position])
        if block["kind"] == "category":
            return pd.Series(
                pd.Categorical.from_codes(values, categories=block["categories"], ordered=block["ordered"])
            )
        if block["kind"] == "datetime-tz":
            return pd.Series(values).dt.tz_localize("UTC").dt.tz_convert(block["timezone"])
        return pd.Series(values)

    def _find(self, table: str, name: str) -> tuple[dict[str, Any], int]:
        description = self.tables[table]
        for column in description["columns"]:
            if column["name"] == name:
                return description["blocks"][column["block"]], column["position"]
        raise KeyError(f"the table {table} has no column {name!r}")

    def _bounds(self, table: str, rows: slice) -> tuple[int, int]:
        start, stop, _ = rows.indices(self.tables[table]["rows"])
        return start, max(start, stop)

    def _plain(self, block: Mapping[str, Any], start: int, stop: int) -> Values:
        dtype, width = np.dtype(block["dtype"]), block["width"]
        if stop == start:
            return np.empty((0, width), dtype)
        path = self.path / block["files"][0]
        return np.memmap(path, dtype, "r", start * width * dtype.itemsize, (stop - start, width))

    def _strings(self, block: Mapping[str, Any], start: int, stop: int) -> Any:
        """Return a pyarrow array of the texts."""
        import pyarrow

        offsets_file, text_file, valid_file = (self.path / name for name in block["files"])
        count = stop - start
        offsets = np.fromfile(offsets_file, "<i8", count + 1, offset=8 * start)
        first, last = int(offsets[0]), int(offsets[-1])
        text = np.fromfile(text_file, np.uint8, last - first, offset=first)
        valid = np.fromfile(valid_file, np.uint8, count, offset=start)
        bitmap = None if valid.all() else pyarrow.py_buffer(np.packbits(valid, bitorder="little"))
        return pyarrow.LargeStringArray.from_buffers(
            count, pyarrow.py_buffer(offsets - first), pyarrow.py_buffer(text), bitmap
        )


def _objects(array: Any) -> Values:
    values = np.empty(len(array), dtype=object)
    values[:] = array.to_pylist()
    return values


def open_store(path: Path) -> Store:
    """Open a store; raises PlatformError where it is not there, damaged or of another version."""
    try:
        description = json.loads((path / "store.json").read_bytes())
        if description["schema_version"] != SCHEMA_VERSION:
            raise PlatformError(f"the store {path} has version {description['schema_version']}")
        store = Store(
            path=path,
            digest=description["digest"],
            moons=np.array(description["moons"], np.int64),
            offsets=np.load(path / "moon_offsets.npy", allow_pickle=False),
            tables=description["tables"],
            digests=json.loads((path / "digests.json").read_bytes()),
        )
        _check_sizes(store)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise PlatformError(f"the store {path} cannot be opened: {error}") from error
    return store


def _check_sizes(store: Store) -> None:
    """Find files that a crash of the machine left short."""
    for table in store.tables.values():
        for block in table["blocks"]:
            if block["kind"] == "string":
                expected = [8 * (table["rows"] + 1), None, table["rows"]]
            else:
                expected = [table["rows"] * block["width"] * np.dtype(block["dtype"]).itemsize]
            for name, size in zip(block["files"], expected, strict=True):
                found = (store.path / name).stat().st_size
                if size is not None and found != size:
                    raise ValueError(f"{name} has {found} bytes, not {size}")
