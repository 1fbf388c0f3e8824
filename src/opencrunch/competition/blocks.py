"""The files of a store: blocks of equal dtype, rows sorted by moon, digests chained moon by moon."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opencrunch.competition.data import Table
from opencrunch.competition.dtypes import Form, as_numpy
from opencrunch.competition.keys import orders
from opencrunch.competition.store import SCHEMA_VERSION

if TYPE_CHECKING:
    from opencrunch.competition.check import Examined
    from opencrunch.competition.file import Competition

Order = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Adjacent columns that make one block."""

    number: int
    form: Form
    names: tuple[str, ...]


def write_store(competition: Competition, examined: Examined, directory: Path) -> None:
    """Write a store's files into an empty directory."""
    X, y = examined.keys["X"], examined.keys["y"]
    order = dict(zip(("X", "y"), orders(X, y), strict=True))
    moons, starts = np.unique(X.moons[order["X"]], return_index=True)
    offsets = np.append(starts, len(X.moons)).astype(np.int64)
    tables = {}
    for name, table in examined.tables.items():
        forms = _forms(table, examined.forms[name], competition.columns.moon)
        tables[name] = _write_table(table, forms, order[name], directory)
    digests = {name: _chain(description, offsets, directory) for name, description in tables.items()}
    content = {"moons": moons.tolist(), "offsets": offsets.tolist(), "digests": digests, "tables": tables}
    description = {
        "schema_version": SCHEMA_VERSION,
        "digest": hashlib.sha256(_json(content)).hexdigest(),
        "moons": moons.tolist(),
        "tables": tables,
    }
    np.save(directory / "moon_offsets.npy", offsets)
    (directory / "digests.json").write_bytes(_json(digests))
    (directory / "store.json").write_bytes(_json(description))


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _forms(table: Table, forms: Mapping[str, Form], moon: str) -> dict[str, Form]:
    """Return the columns' forms; whole moons stored as floats become integers."""
    kept = {name: forms[name] for name in table.names}
    dtype = kept[moon].dtype
    if dtype is not None and np.dtype(dtype).kind == "f":
        kept[moon] = Form(kind="plain", dtype="<i8")
    return kept


def _runs(forms: Mapping[str, Form]) -> list[_Run]:
    groups: list[tuple[Form, list[str]]] = []
    for name, form in forms.items():
        if groups and form.kind == "plain" and groups[-1][0] == form:
            groups[-1][1].append(name)
        else:
            groups.append((form, [name]))
    return [_Run(number=k, form=form, names=tuple(names)) for k, (form, names) in enumerate(groups)]


def _write_table(table: Table, forms: Mapping[str, Form], order: Order, directory: Path) -> dict[str, Any]:
    runs = _runs(forms)
    blocks: dict[int, dict[str, Any]] = {}
    plain = [run for run in runs if run.form.kind == "plain"]
    blocks.update(
        zip((run.number for run in plain), _write_plain(table, plain, order, directory), strict=True)
    )
    for run in runs:
        if run.form.kind != "plain":
            blocks[run.number] = _write_single(table, run, order, directory)
    return {
        "rows": table.rows,
        "columns": [
            {"name": name, "block": run.number, "position": position}
            for run in runs
            for position, name in enumerate(run.names)
        ],
        "blocks": [blocks[run.number] for run in runs],
    }


def _write_plain(table: Table, runs: Sequence[_Run], order: Order, directory: Path) -> list[dict[str, Any]]:
    """Write all blocks of numbers in one pass over the file, a batch of rows at a time."""
    if not runs:
        return []
    descriptions = [_plain_block(table, run) for run in runs]
    names = [name for run in runs for name in run.names]
    sorted_already = bool((order == np.arange(len(order))).all())
    write = _append if sorted_already else _scatter
    paths = [directory / block["files"][0] for block in descriptions]
    write(table.batches(names), runs, paths, order)
    return descriptions


def _append(batches: Iterator[Any], runs: Sequence[_Run], paths: Sequence[Path], order: Order) -> None:
    """Write rows that are sorted by moon as they come."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for batch in batches:
            for file, piece in zip(files, _pieces(batch, runs), strict=True):
                file.write(piece.data)


def _scatter(batches: Iterator[Any], runs: Sequence[_Run], paths: Sequence[Path], order: Order) -> None:
    """Write each row to its place."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    files: list[Any] = [
        np.memmap(path, np.dtype(run.form.dtype), "w+", shape=(len(order), len(run.names)))
        for path, run in zip(paths, runs, strict=True)
    ]
    start = 0
    for batch in batches:
        rows = place[start : start + batch.num_rows]
        for file, piece in zip(files, _pieces(batch, runs), strict=True):
            file[rows] = piece.view(file.dtype)
        start += batch.num_rows


def _pieces(batch: Any, runs: Sequence[_Run]) -> Iterator[npt.NDArray[Any]]:
    """Yield a batch's rows for each block."""
    column = 0
    for run in runs:
        piece: npt.NDArray[Any] = np.empty((batch.num_rows, len(run.names)), run.form.dtype)
        for position in range(len(run.names)):
            piece[:, position] = as_numpy(batch.column(column), run.form)
            column += 1
        yield piece.view(np.uint8)  # a buffer cannot hold dates


def _plain_block(table: Table, run: _Run) -> dict[str, Any]:
    return {
        "kind": "plain",
        "dtype": run.form.dtype,
        "width": len(run.names),
        "files": [f"{table.name}.{run.number}.bin"],
    }


def _write_single(table: Table, run: _Run, order: Order, directory: Path) -> dict[str, Any]:
    """Write a column that is a block of its own."""
    values = table.column(run.names[0])
    stem = f"{table.name}.{run.number}"
    if run.form.kind == "string":
        return _write_strings(values, order, directory, stem)
    if run.form.kind == "category":
        return _write_category(values, order, directory, stem)
    ticks = as_numpy(values, run.form)[order]
    ticks.tofile(directory / f"{stem}.bin")
    return {
        "kind": "datetime-tz",
        "width": 1,
        "dtype": run.form.dtype,
        "timezone": run.form.timezone,
        "files": [f"{stem}.bin"],
    }


def _write_strings(values: Any, order: Order, directory: Path, stem: str) -> dict[str, Any]:
    import pyarrow.compute as pc

    texts = _whole(values.cast(pa.large_string()), pa.large_string()).take(pa.array(order))
    lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(texts) + 1, "<i8")
    np.cumsum(lengths, out=offsets[1:])
    files = [f"{stem}.offsets.bin", f"{stem}.bytes.bin", f"{stem}.valid.bin"]
    offsets.tofile(directory / files[0])
    filled = pc.fill_null(texts, "")  # a missing value has no bytes
    start = (
        int(np.frombuffer(filled.buffers()[1], "<i8", 1, offset=8 * filled.offset)[0]) if len(texts) else 0
    )
    with (directory / files[1]).open("wb") as file:
        if offsets[-1]:
            file.write(memoryview(filled.buffers()[2])[start : start + int(offsets[-1])])
    texts.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8).tofile(directory / files[2])
    return {"kind": "string", "width": 1, "files": files}


def _write_category(values: Any, order: Order, directory: Path, stem: str) -> dict[str, Any]:
    unified = values.unify_dictionaries()
    chunks = unified.chunks
    categories = chunks[0].dictionary.to_pylist() if chunks else []
    codes = [chunk.indices.cast(pa.int64()).fill_null(-1) for chunk in chunks]
    dtype = next(f"<i{size}" for size in (1, 2, 4) if len(categories) < 1 << (8 * size - 1))
    dtype = dtype.replace("<i1", "|i1")
    plain = np.concatenate([part.to_numpy(zero_copy_only=False) for part in codes])
    plain[order].astype(dtype).tofile(directory / f"{stem}.bin")
    return {
        "kind": "category",
        "width": 1,
        "dtype": dtype,
        "categories": categories,
        "ordered": bool(values.type.ordered),
        "files": [f"{stem}.bin"],
    }


def _whole(values: Any, kind: Any) -> Any:
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], type=kind)


def _chain(table: Mapping[str, Any], offsets: npt.NDArray[np.int64], directory: Path) -> list[str]:
    """Return one digest for each moon: of the table's form and of all rows up to the moon's last."""
    digest = hashlib.sha256(_json({"columns": table["columns"], "blocks": table["blocks"]})).digest()
    readers = [_reader(block, directory) for block in table["blocks"]]
    chain = []
    for start, stop in pairwise(offsets.tolist()):
        state = hashlib.sha256(digest)
        for reader in readers:
            for piece in reader(start, stop):
                state.update(piece)
        digest = state.digest()
        chain.append(digest.hex())
    return chain


def _reader(block: Mapping[str, Any], directory: Path) -> Any:
    """Return a function that yields the bytes of a block's rows."""
    if block["kind"] == "string":
        offsets = np.fromfile(directory / block["files"][0], "<i8")
        text = np.fromfile(directory / block["files"][1], np.uint8)
        valid = np.fromfile(directory / block["files"][2], np.uint8)

        def texts(start: int, stop: int) -> Iterator[Any]:
            bounds = offsets[start : stop + 1]
            yield np.diff(bounds).tobytes()
            yield text[bounds[0] : bounds[-1]].tobytes()
            yield valid[start:stop].tobytes()

        return texts
    size = np.dtype(block["dtype"]).itemsize * block["width"]
    path = directory / block["files"][0]

    def numbers(start: int, stop: int) -> Iterator[Any]:
        with path.open("rb", buffering=0) as file:
            file.seek(start * size)
            left = (stop - start) * size
            while left:
                piece = file.read(min(left, 1 << 20))
                yield piece
                left -= len(piece)

    return numbers
