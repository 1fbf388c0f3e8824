"""Which rows exist for a submission at which moon: the future is absent, not forbidden.

A release is a directory that the sandbox sees read-only. `past/` holds a prefix of each table, grown when a
training asks for more; `now/` holds the rows of the moon being predicted and is emptied after the call. A
file is what the submission may know: nothing else of the data lies anywhere that it can reach.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from opencrunch.competition.store import Store
from opencrunch.errors import PlatformError

TARGET = "/data"
_PREFIX, _LOCK = "opencrunch-release-", ".lock"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of a table that a call may ask for; they are released when it does."""

    table: str
    start: int
    stop: int
    past: bool  # a prefix, kept and grown; else a moon's own rows, gone after the call


class Release:
    """The growing files of one sandbox."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.store = store
        self.directory = directory
        self._released = dict.fromkeys(("X", "y"), 0)
        (directory / "past").mkdir()
        (directory / "now").mkdir()
        for name in ("past", "now"):
            (directory / name).chmod(0o755)
        for table in self._released:
            for block in store.table(table)["blocks"]:
                self._start_files(block)

    def before(self, table: str, moon: int) -> Rows:
        """Return the rows with a moon strictly before `moon`."""
        stop = int(self.store.offsets[np.searchsorted(self.store.moons, moon, side="left")])
        return Rows(table=table, start=0, stop=stop, past=True)

    def at(self, table: str, moon: int) -> Rows:
        """Return the rows of one moon."""
        position = int(np.searchsorted(self.store.moons, moon, side="left"))
        start, stop = int(self.store.offsets[position]), int(self.store.offsets[position + 1])
        return Rows(table=table, start=start, stop=stop, past=False)

    def describe(self, rows: Rows, inside: str) -> dict[str, Any]:
        """Release the rows and return how the runner finds them; `inside` is the directory it sees.

        Raises PlatformError where the host cannot hold them.
        """
        try:
            if rows.past:
                self._grow(rows.table, rows.stop)
            else:
                self._write_now(rows)
        except OSError as error:
            raise PlatformError(f"the data could not be released: {error.strerror}", cause="disk") from error
        if rows.past:
            return {"frame": rows.table, "directory": f"{inside}/past", "start": 0, "stop": rows.stop}
        return {"frame": rows.table, "directory": f"{inside}/now", "start": 0, "stop": rows.stop - rows.start}

    def forget_now(self) -> None:
        """Take the current moon's rows away."""
        for entry in os.scandir(self.directory / "now"):
            os.unlink(entry.path)

    def _start_files(self, block: Mapping[str, Any]) -> None:
        for name in block["files"]:
            target = self.directory / "past" / name
            target.touch()
            target.chmod(0o644)
        if block["kind"] == "string":
            (self.directory / "past" / block["files"][0]).write_bytes(bytes(8))

    def _grow(self, table: str, stop: int) -> None:
        start = self._released[table]
        if stop <= start:
            return
        for block in self.store.table(table)["blocks"]:
            for piece in self._pieces(block, start, stop):
                _append(piece, self.store.path, self.directory / "past")
        self._released[table] = stop

    def _write_now(self, rows: Rows) -> None:
        for block in self.store.table(rows.table)["blocks"]:
            pieces = self._pieces(block, rows.start, rows.stop)
            if block["kind"] == "string":
                offsets = self._offsets(block, rows.start, rows.stop)
                _write_new(self.directory / "now" / block["files"][0], (offsets - offsets[0]).tobytes())
                pieces = pieces[1:]
            for piece in pieces:
                _append(piece, self.store.path, self.directory / "now")

    def _pieces(self, block: Mapping[str, Any], start: int, stop: int) -> list[_Piece]:
        """Return the byte ranges of a block's files that hold the rows."""
        if block["kind"] == "string":
            offsets, text, valid = block["files"]
            bounds = self._offsets(block, start, stop)
            return [
                _Piece(offsets, 8 * (start + 1), 8 * (stop + 1)),
                _Piece(text, int(bounds[0]), int(bounds[-1])),
                _Piece(valid, start, stop),
            ]
        row = np.dtype(block["dtype"]).itemsize * block["width"]
        return [_Piece(block["files"][0], start * row, stop * row)]

    def _offsets(self, block: Mapping[str, Any], start: int, stop: int) -> np.ndarray[Any, Any]:
        return np.fromfile(self.store.path / block["files"][0], "<i8", stop - start + 1, offset=8 * start)


@dataclass(frozen=True)
class _Piece:
    name: str
    start: int
    stop: int


def _append(piece: _Piece, source: Path, target: Path) -> None:
    """Append a byte range of a store's file to the released file, without mapping either."""
    reader = os.open(source / piece.name, os.O_RDONLY)
    writer = os.open(target / piece.name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.fchmod(writer, 0o644)
        _copy_range(reader, writer, piece.start, piece.stop)
    finally:
        os.close(reader)
        os.close(writer)


def _copy_range(reader: int, writer: int, position: int, stop: int) -> None:
    while position < stop:
        count = min(stop - position, 8 << 20)
        data = os.pread(reader, count, position)
        if not data:
            raise OSError(0, "the prepared data are shorter than they say")
        view = memoryview(data)
        while view:
            view = view[os.write(writer, view) :]
        position += len(data)


def _write_new(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o644)


@contextmanager
def release_directory(size: int, fallback: Path) -> Iterator[Path]:
    """Give a private directory for `size` bytes: in memory where there is room, else below `fallback`."""
    parent = Path("/dev/shm")
    try:
        room = os.statvfs(parent)
        in_memory = room.f_bavail * room.f_frsize > size + (64 << 20)
    except (OSError, AttributeError):
        in_memory = False
    chosen = parent if in_memory else fallback
    chosen.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(chosen)
    outer = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=chosen))
    outer.chmod(0o711)  # the sandbox's user may pass, not look
    inner = outer / "release"
    inner.mkdir(mode=0o755)
    inner.chmod(0o755)
    with FileLock(outer / _LOCK):
        try:
            yield inner
        finally:
            shutil.rmtree(outer, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove what engines left that were killed: their locks are free."""
    for outer in parent.glob(f"{_PREFIX}*"):
        if not (outer / _LOCK).exists():
            continue  # being made, or another user's
        try:
            with FileLock(outer / _LOCK, timeout=0):
                shutil.rmtree(outer, ignore_errors=True)
        except (Timeout, OSError):
            continue
