"""Frames from released files: private copy-on-write mappings, in the organiser's column order."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def read_frame(table: dict[str, Any], directory: str, start: int, stop: int) -> pd.DataFrame:
    """Return rows start to stop of a released table, indexed 0 to n-1.

    `table` describes columns and blocks as docs/architecture.md says. Numbers are not copied: writing to
    the frame changes this process's pages alone.
    """
    parts: list[pd.DataFrame | pd.Series] = []
    names = [column["name"] for column in table["columns"]]
    position = 0
    for block in table["blocks"]:
        width = block["width"]
        parts.append(_read_block(block, Path(directory), start, stop, names[position : position + width]))
        position += width
    if len(parts) == 1 and isinstance(parts[0], pd.DataFrame):
        return parts[0]
    return concatenate(parts)


def concatenate(parts: list[Any]) -> pd.DataFrame:
    """Return the parts side by side, without a copy in any version of pandas."""
    if int(pd.__version__.split(".", 1)[0]) >= 3:  # copies lazily, and warns of the keyword
        return pd.concat(parts, axis=1)
    return pd.concat(parts, axis=1, copy=False)


def _read_block(
    block: dict[str, Any], directory: Path, start: int, stop: int, names: list[str]
) -> pd.DataFrame | pd.Series:
    kind = block["kind"]
    if kind == "string":
        return pd.Series(_read_strings(block, directory, start, stop), name=names[0])
    values = _map_rows(directory / block["files"][0], np.dtype(block["dtype"]), block["width"], start, stop)
    if kind == "category":
        categories = pd.Categorical.from_codes(
            values[:, 0], categories=block["categories"], ordered=block["ordered"]
        )
        return pd.Series(categories, name=names[0])
    if kind == "datetime-tz":
        stamps = pd.Series(values[:, 0], name=names[0])
        return stamps.dt.tz_localize("UTC").dt.tz_convert(block["timezone"])
    return pd.DataFrame(values, columns=names, copy=False)


def _map_rows(path: Path, dtype: np.dtype[Any], width: int, start: int, stop: int) -> np.ndarray[Any, Any]:
    row = dtype.itemsize * width
    length = (stop - start) * row
    if length == 0:
        return np.empty((stop - start, width), dtype)
    aligned = start * row // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    skipped = start * row - aligned
    descriptor = os.open(path, os.O_RDONLY)
    try:
        view = mmap.mmap(descriptor, skipped + length, access=mmap.ACCESS_COPY, offset=aligned)
    finally:
        os.close(descriptor)
    values = np.frombuffer(view, dtype, count=(stop - start) * width, offset=skipped)
    return values.reshape(stop - start, width)


def _read_strings(block: dict[str, Any], directory: Path, start: int, stop: int) -> Any:
    import pyarrow

    offsets_file, bytes_file, valid_file = (directory / name for name in block["files"])
    count = stop - start
    offsets = np.fromfile(offsets_file, "<i8", count + 1, offset=8 * start)
    first, last = (int(offsets[0]), int(offsets[-1])) if count else (0, 0)
    text = np.fromfile(bytes_file, np.uint8, last - first, offset=first)
    valid = np.fromfile(valid_file, np.uint8, count, offset=start)
    bitmap = None if valid.all() else pyarrow.py_buffer(np.packbits(valid, bitorder="little"))
    array = pyarrow.LargeStringArray.from_buffers(
        count, pyarrow.py_buffer(offsets - first), pyarrow.py_buffer(text), bitmap
    )
    return array.to_pandas()
