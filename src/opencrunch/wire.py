"""What crosses the boundary: framed JSON and raw columns, bounded and checked before anything is made of it.

A message is a four-byte length, a JSON header of that length, and the buffers whose sizes the header gives.
Everything that comes from a sandbox is treated as hostile: sizes are compared with limits before memory is
taken, dtypes come from a closed list, offsets are checked with numpy.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

HEADER_LIMIT = 4 << 20
STRING_LIMIT = 1 << 16  # bytes of one text in a result
NUMBERS = frozenset(
    {"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"}
)  # all little-endian, as the runner writes them


class WireError(Exception):
    """Bytes from a sandbox break the protocol."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a result.

    `values` is a numeric array, an object array of str and None, or None where the runner could not express
    the column; `of` then names its dtype and `holds` the type of the first value at fault.
    """

    name: str
    is_text: bool  # whether the label is a string
    values: np.ndarray[Any, Any] | None
    of: str = ""
    holds: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A frame that a call returned."""

    rows: int
    width: int
    columns: tuple[Column, ...]


@dataclass(frozen=True, kw_only=True)
class Other:
    """A result that is no frame: the name of its type ("none" for None)."""

    name: str


@dataclass(frozen=True, kw_only=True)
class ResultLimits:
    """What a result may measure."""

    rows: int
    columns: int
    size: int  # bytes


Reader = Callable[[int], bytearray]


def pack(header: Mapping[str, Any]) -> bytes:
    """Return a message without buffers, as the engine sends it."""
    text = json.dumps({**header, "buffers": []}, allow_nan=False).encode()
    return struct.pack(">I", len(text)) + text


def read_header(read: Reader, *, limit: int = HEADER_LIMIT) -> dict[str, Any]:
    """Read a message's header with `read(n)`, which returns exactly n bytes.

    Raises WireError where it is too long, or no JSON object.
    """
    (length,) = struct.unpack(">I", read(4))
    if length > limit:
        raise WireError(f"a header of {length} bytes, at most {limit} are taken")
    try:
        header = json.loads(bytes(read(length)), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a header that is no JSON: {str(error)[:200]}") from None
    if not isinstance(header, dict) or not isinstance(header.get("op"), str):
        raise WireError("a header that is no message")
    return header


def read_result(header: Mapping[str, Any], read: Reader, limits: ResultLimits) -> Table | Other:
    """Read the result that a header announces.

    Raises WireError where the bytes break the protocol. A frame whose size exceeds the limits comes back
    with its size and no columns: nothing of it is read, so the channel is of no more use.
    """
    result = header.get("result")
    if not isinstance(result, dict):
        raise WireError("a result without description")
    if result.get("type") in ("none", "other"):
        return Other(name=_text(result.get("name", "none"), 200))
    if result.get("type") != "frame":
        raise WireError("a result of an unknown type")
    rows, width = _count(result.get("rows")), _count(result.get("width"))
    described, sizes = result.get("columns"), header.get("buffers")
    if rows > limits.rows or width > limits.columns:
        return Table(rows=rows, width=width, columns=())
    if not isinstance(described, list) or not isinstance(sizes, list) or len(described) != width:
        raise WireError("a frame whose columns are not described")
    remaining = [_count(size) for size in sizes]
    if sum(remaining) > limits.size:
        raise WireError(f"a result of {sum(remaining)} bytes, at most {limits.size} are taken")
    columns = tuple(_read_column(column, rows, remaining, read) for column in described)
    if remaining:
        raise WireError("a frame with buffers that belong to no column")
    return Table(rows=rows, width=width, columns=columns)


def _read_column(described: Any, rows: int, sizes: list[int], read: Reader) -> Column:
    if not isinstance(described, dict):
        raise WireError("a column without description")
    name, is_text = _text(described.get("name"), 1000), described.get("text") is True
    dtype = described.get("dtype")
    if dtype == "other":
        of, holds = _text(described.get("of", ""), 200), _text(described.get("holds", ""), 200)
        return Column(name=name, is_text=is_text, values=None, of=of, holds=holds)
    if dtype == "string":
        return Column(name=name, is_text=is_text, values=_read_strings(rows, sizes, read))
    if dtype not in NUMBERS:
        raise WireError("a column of an unknown dtype")
    expected = rows * np.dtype(dtype).itemsize
    data = _next_buffer(sizes, read, expected)
    if dtype == "|b1":  # any byte but 0 and 1 would make a bool array that lies
        return Column(name=name, is_text=is_text, values=np.frombuffer(data, np.uint8) != 0)
    return Column(name=name, is_text=is_text, values=np.frombuffer(data, dtype))


def _read_strings(rows: int, sizes: list[int], read: Reader) -> np.ndarray[Any, Any]:
    offsets = np.frombuffer(_next_buffer(sizes, read, 8 * (rows + 1)), "<i8")
    length = sizes[0] if sizes else 0
    text = bytes(_next_buffer(sizes, read, length))
    valid = np.frombuffer(_next_buffer(sizes, read, rows), np.uint8)
    sizes_of_texts = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != length or (sizes_of_texts < 0).any():
        raise WireError("a string column with invalid offsets")
    if (sizes_of_texts > STRING_LIMIT).any():
        raise WireError(f"a text of {int(sizes_of_texts.max()):,} bytes, at most {STRING_LIMIT:,} are taken")
    values = np.empty(rows, object)
    bounds = offsets.tolist()
    for row in range(rows):
        if valid[row]:
            values[row] = text[bounds[row] : bounds[row + 1]].decode("utf-8", "replace")
    return values


def _next_buffer(sizes: list[int], read: Reader, expected: int) -> bytearray:
    if not sizes or sizes[0] != expected:
        raise WireError(f"a buffer of {sizes[0] if sizes else 'no'} bytes where {expected} belong")
    return read(sizes.pop(0))


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise WireError("a size that is no count")
    return value


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise WireError("a name that is no text")
    return clean(value, limit)


def clean(value: Any, limit: int) -> str:
    """Return a value as text that can be encoded: at most `limit` characters, no lone surrogate."""
    return str(value)[:limit].encode("utf-8", "replace").decode()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def read_failure(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the failure that a runner described, with every field of the expected type and bounded."""
    chain = header.get("chain")
    links = (
        [_read_link(link) for link in chain[:8] if isinstance(link, dict)] if isinstance(chain, list) else []
    )
    cause = header.get("cause")
    return {
        "cause": cause if cause in _REPORTED else "exception",
        "chain": links or [{"type": "Exception", "text": "", "frames": []}],
    }


_REPORTED = ("exception", "exit", "out-of-memory", "out-of-disk", "too-many-processes")


def _read_link(link: Mapping[str, Any]) -> dict[str, Any]:
    frames = link.get("frames")
    kept = []
    for frame in frames[:100] if isinstance(frames, list) else []:
        if isinstance(frame, dict):
            line = frame.get("line")
            kept.append(
                {
                    "file": clean(frame.get("file", ""), 500),
                    "line": line if isinstance(line, int) and 0 <= line < 1 << 31 else 0,
                    "function": clean(frame.get("function", ""), 200),
                    "source": clean(frame.get("source", ""), 300),
                    "own": frame.get("own") is True,
                }
            )
    return {
        "type": clean(link.get("type", "Exception"), 200),
        "text": clean(link.get("text", ""), 10_000),
        "frames": kept,
    }


def read_seconds(value: Any) -> float:
    """Return a duration that a runner reported, 0 where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return 0.0
    return float(value)
