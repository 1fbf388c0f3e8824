"""One process works, the others wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .layout import Layout


@contextmanager
def guard(name: str, layout: Layout, progress: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time do the work of a name; the lock of a killed one vanishes with it."""
    from filelock import FileLock, Timeout

    lock = FileLock(layout.guards / f"{name}.lock", mode=0o644)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("waiting for another process that builds this environment")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
