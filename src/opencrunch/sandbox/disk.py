"""What a sandbox writes to its directories: bounded by a file system of its own, or sampled by a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from .port import Exceeded, Strength

_PERIOD = 0.25  # seconds between two walks
_SMALLEST = 1024  # bytes for which an empty file counts
_LONGEST_PATH = 3000  # the kernel takes 4095 bytes
_BLOCK = 512  # st_blocks counts these


class Disk(Protocol):
    """The workspace's space."""

    strength: Strength

    def used(self) -> int:
        """Return the bytes in the workspace."""
        ...

    def exceeded(self) -> Exceeded | None:
        """Return evidence that the limit is reached."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


class MountedDisk:
    """A file system of the sandbox's own, with a size."""

    strength: Strength = "enforced"

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._device = _device(directory)
        self._limit = limit
        self._used = 0

    def used(self) -> int:
        """Return the bytes in it, the last known once the sandbox is gone."""
        self._look()
        return self._used

    def exceeded(self) -> Exceeded | None:
        """Return evidence while it is full."""
        if self._look() != 0:
            return None
        return Exceeded(cause="out-of-disk", used=self._used, limit=self._limit)

    def close(self) -> None:
        """Remember what was used."""
        self._look()

    def _look(self) -> int | None:
        """Note the bytes used and return those free (None: it is gone)."""
        try:
            descriptor = os.open(self._directory, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            # The path goes through a process, and leads elsewhere when that has ended.
            if os.fstat(descriptor).st_dev != self._device:
                return None
            found = os.fstatvfs(descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        self._used = (found.f_blocks - found.f_bfree) * found.f_frsize
        return found.f_bavail


def _device(directory: Path) -> int | None:
    """Return the device of a directory, None where the sandbox is gone already."""
    try:
        return os.stat(directory).st_dev
    except OSError:
        return None


class SampledDisk:
    """Directories on a shared file system, walked again and again; a tree that wrote too much is killed."""

    strength: Strength = "sampled"

    def __init__(self, directories: Sequence[tuple[Path, int]], kill: Callable[[], None]) -> None:
        """Take directories with the bytes that each may hold, the workspace first."""
        self._directories = tuple(directories)
        self._kill = kill
        self._used = 0
        self._evidence: Exceeded | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="opencrunch-disk", daemon=True)
        self._thread.start()

    def used(self) -> int:
        """Return the bytes in the workspace."""
        if not self._stop.is_set():
            self._used = measure(self._directories[0][0]) or self._used
        return self._used

    def exceeded(self) -> Exceeded | None:
        """Return the evidence since the last call."""
        evidence, self._evidence = self._evidence, None
        return evidence

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD):
            for directory, limit in self._directories:
                used = measure(directory)
                if used is None or used > limit:
                    self._evidence = Exceeded(cause="out-of-disk", used=used or limit, limit=limit)
                    self._kill()


def measure(directory: Path) -> int | None:
    """Return the bytes that files below a directory take on the disk, None where it is too deep to tell.

    Links are not followed. An empty file counts too: it takes an inode.
    """
    total, todo = 0, [os.fspath(directory)]
    while todo:
        path = todo.pop()
        if len(path) > _LONGEST_PATH:
            return None
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    total += max(found.st_blocks * _BLOCK, _SMALLEST)
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except OSError:
            continue  # it was removed meanwhile
    return total
