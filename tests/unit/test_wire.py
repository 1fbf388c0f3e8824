"""The wire: what a runner encodes is read back, and hostile bytes are refused before they cost anything."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crunch.runner import channel
from crunch.runner.results import encode
from opencrunch import wire

LIMITS = wire.ResultLimits(rows=1000, columns=20, size=1 << 20)


def reader(data: bytes) -> wire.Reader:
    position = 0

    def read(count: int) -> bytearray:
        nonlocal position
        if position + count > len(data):
            raise EOFError
        position += count
        return bytearray(data[position - count : position])

    return read


def message(header: dict[str, Any], *buffers: bytes) -> bytes:
    text = json.dumps({**header, "buffers": [len(buffer) for buffer in buffers]}).encode()
    return struct.pack(">I", len(text)) + text + b"".join(buffers)


def crossed(
    value: Any, limits: wire.ResultLimits = LIMITS, *, sent_rows: int = 5000
) -> wire.Table | wire.Other:
    """Send a value as the runner does and read it as the engine does."""
    header, buffers = encode(value, rows=sent_rows, columns=100)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel.send(theirs, {"op": "result", "result": header}, buffers)
        theirs.shutdown(socket.SHUT_WR)
        data = b""
        while part := ours.recv(1 << 20):
            data += part
    read = reader(data)
    return wire.read_result(wire.read_header(read), read, limits)


def column(value: Any) -> wire.Column:
    table = crossed(pd.DataFrame({"a": value}))
    assert isinstance(table, wire.Table)
    return table.columns[0]


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "int64", "int8", "uint16", "uint64", "bool"]
)
def test_numbers_cross_with_their_dtype(dtype: str) -> None:
    values = column(np.array([0, 1, 1], dtype)).values
    assert values is not None
    assert values.tolist() == [0, 1, 1]
    assert values.dtype == dtype


def test_strings_cross_with_missing_ones() -> None:
    values = column(pd.Series(["é", None, ""], dtype=object)).values
    assert values is not None
    assert values.tolist() == ["é", None, ""]


def test_objects_that_are_all_numbers_count_as_numbers() -> None:
    values = column(pd.Series([1, 2.5, np.float32(3), True], dtype=object)).values
    assert values is not None
    assert values.tolist() == [1.0, 2.5, 3.0, 1.0]


def test_nullable_numbers_cross_as_floats_with_nan() -> None:
    values = column(pd.Series([1, None], dtype="Int64")).values
    assert values is not None
    assert values[0] == 1
    assert np.isnan(values[1])


def test_categories_cross_as_what_they_hold() -> None:
    values = column(pd.Categorical(["b", "a", "b"])).values
    assert values is not None
    assert values.tolist() == ["b", "a", "b"]


def test_other_objects_are_named_by_type() -> None:
    found = column(pd.Series([1, {"a": 1}], dtype=object))
    assert found.values is None
    assert found.holds == "dict"
    assert column(pd.to_datetime(["2020-01-01"])).of.startswith("datetime64")


def test_a_result_that_is_no_frame_is_named() -> None:
    assert crossed(None) == wire.Other(name="none")
    assert crossed([1, 2]) == wire.Other(name="list")


def test_a_billion_rows_are_refused_by_their_number() -> None:
    frame = pd.DataFrame({"a": np.broadcast_to(np.float64(0), 10_000)})
    for sent_rows in (5000, 20_000):  # refused by the runner already, or by the engine
        table = crossed(frame, sent_rows=sent_rows)
        assert isinstance(table, wire.Table)
        assert (table.rows, table.columns) == (10_000, ())


def frame_header(**changes: Any) -> dict[str, Any]:
    result = {
        "type": "frame",
        "rows": 2,
        "width": 1,
        "columns": [{"name": "a", "text": True, "dtype": "<f8"}],
    }
    return {"op": "result", "result": {**result, **changes}}


HOSTILE = {
    "no JSON": struct.pack(">I", 3) + b"{{{",
    "endless header": struct.pack(">I", 0xFFFFFFFF),
    "nested": struct.pack(">I", 200_000) + b"[" * 200_000,
    "a list": message({})[:4] + b"[]" + b" " * 20,
    "NaN": struct.pack(">I", 22) + b'{"op":"x","v":NaN}    ',
    "no op": message({"result": {}}),
    "no result": message({"op": "result"}),
    "unknown type": message({"op": "result", "result": {"type": "pickle"}}),
    "negative rows": message(frame_header(rows=-1), bytes(16)),
    "rows as text": message(frame_header(rows="2"), bytes(16)),
    "true rows": message(frame_header(rows=True), bytes(8)),
    "width that lies": message(frame_header(width=3), bytes(16)),
    "no columns": message(frame_header(columns=None), bytes(16)),
    "short buffer": message(frame_header(), bytes(15)),
    "too many buffers": message(frame_header(), bytes(16), b"x"),
    "unknown dtype": message(frame_header(columns=[{"name": "a", "dtype": "|O8"}]), bytes(16)),
    "big endian": message(frame_header(columns=[{"name": "a", "dtype": ">f8"}]), bytes(16)),
    "no name": message(frame_header(columns=[{"dtype": "<f8"}]), bytes(16)),
    "huge": message(frame_header(rows=900), *[b""])[:-1] + b"}",
    "falling offsets": message(
        frame_header(columns=[{"name": "a", "dtype": "string"}]),
        struct.pack("<3q", 0, 5, 3), b"abc", b"\1\1",
    ),
    "offsets beyond": message(
        frame_header(columns=[{"name": "a", "dtype": "string"}]),
        struct.pack("<3q", 0, 1, 1 << 40), b"abc", b"\1\1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused(name: str) -> None:
    read = reader(HOSTILE[name])
    with pytest.raises((wire.WireError, EOFError)):
        wire.read_result(wire.read_header(read), read, LIMITS)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    read = reader(struct.pack(">I", len(data)) + data)
    try:
        header = wire.read_header(read)
        wire.read_failure(header)
        wire.read_result(header, read, LIMITS)
    except (wire.WireError, EOFError):
        pass


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "rows", "width", "columns", "name", "dtype", "chain", "frames", "text"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(_json, _json, st.binary(max_size=64))
def test_no_header_raises_anything_else(result: Any, chain: Any, rest: bytes) -> None:
    header = {"op": "result", "result": result, "chain": chain, "buffers": [len(rest)]}
    wire.read_failure(header)
    try:
        wire.read_result(header, reader(rest), LIMITS)
    except (wire.WireError, EOFError):
        pass


@given(
    st.lists(
        st.one_of(
            st.lists(st.floats(width=32), min_size=3, max_size=3),
            st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
            st.lists(st.text(max_size=4) | st.none(), min_size=3, max_size=3),
        ),
        max_size=4,
    )
)
def test_every_frame_of_numbers_and_text_comes_back(columns: list[list[Any]]) -> None:
    frame = pd.DataFrame({f"c{n}": pd.Series(values, dtype=object) for n, values in enumerate(columns)})
    table = crossed(frame)
    assert isinstance(table, wire.Table)
    for found, values in zip(table.columns, columns, strict=True):
        assert found.values is not None
        for mine, theirs in zip(found.values.tolist(), values, strict=True):
            text = theirs.encode("utf-8", "replace").decode() if isinstance(theirs, str) else theirs
            assert mine == text or (mine is None and theirs is None) or (mine != mine and theirs != theirs)
