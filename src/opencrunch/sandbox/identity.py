"""The host user that sandboxes run as: never uid 0, and a user of their own where the engine is root."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Above the ranges of people and of system users, below those that containers are given.
SANDBOX_UID = 60_717
SANDBOX_GID = 60_717


def engine_is_root() -> bool:
    """Return whether the engine runs as uid 0 and so changes user before it starts a sandbox."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def sandbox_user() -> tuple[int, int]:
    """Return the host uid and gid of what runs in a sandbox."""
    if engine_is_root():
        return SANDBOX_UID, SANDBOX_GID
    return os.geteuid(), os.getegid()


@contextmanager
def acting_as_sandbox() -> Iterator[None]:
    """Let the calling thread create files as the sandbox's user; no change where the engine is not root.

    A sandbox's tmpfs belongs to its user namespace, and that has no uid 0: root can make no files there.
    The ids change for this thread alone, and only where files are concerned.
    """
    if not engine_is_root():
        yield
        return
    libc = ctypes.CDLL(None)
    libc.setfsgid(SANDBOX_GID)
    libc.setfsuid(SANDBOX_UID)
    try:
        # setfsuid reports no failure; asking for an impossible id tells the one in force.
        if libc.setfsuid(-1) != SANDBOX_UID:
            raise PermissionError(f"the engine may not act as uid {SANDBOX_UID}; it needs CAP_SETUID")
        yield
    finally:
        libc.setfsuid(0)
        libc.setfsgid(0)


def readable_by_sandbox(path: str | os.PathLike[str]) -> bool:
    """Return whether the sandbox's user reaches a path: each directory above it, and itself for reading."""
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0)
    try:
        with acting_as_sandbox():
            os.close(os.open(path, flags))
    except OSError:
        return False
    return True
