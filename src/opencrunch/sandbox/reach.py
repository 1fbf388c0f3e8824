"""Sources of mounts that lie below directories which the sandbox's user may not pass, such as root's home.

The thread from which root starts sandboxes has a mount namespace of its own. There such a source is bound to
a place that everyone can pass, for as long as a start takes; the host sees nothing of it, and nothing is left
when the engine dies.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ..errors import PlatformError
from .identity import SANDBOX_UID, engine_is_root, readable_by_sandbox
from .port import Mount
from .spawn import in_lasting_thread

_PLACE = Path("/var/cache/opencrunch/mounts")
_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x80000
_MS_NOSUID, _MS_NODEV, _MNT_DETACH = 2, 4, 2

_counter = itertools.count(1)
_apart: set[int] = set()  # ids of threads that have a mount namespace of their own


@contextmanager
def reachable(mounts: Sequence[Mount]) -> Iterator[tuple[Mount, ...]]:
    """Give mounts with sources that the sandbox's user reaches, while the sandbox is being started.

    Raises PlatformError where a source is not there, or cannot be made reachable.
    """
    bound: list[Path] = []
    try:
        yield tuple(_reach(mount, bound) for mount in mounts)
    finally:
        if bound:
            in_lasting_thread(lambda: _unbind(bound))


def _reach(mount: Mount, bound: list[Path]) -> Mount:
    try:
        os.stat(mount.source)
    except OSError as error:
        raise PlatformError(
            f"'{mount.source}' cannot be mounted in the sandbox: {error.strerror}", cause="start"
        ) from error
    if not engine_is_root() or readable_by_sandbox(mount.source):
        return mount
    try:
        place = in_lasting_thread(lambda: _bind(mount.source))
    except OSError as error:
        raise PlatformError(
            f"'{mount.source}' cannot be read by the sandbox's user (uid {SANDBOX_UID}) and cannot be bound "
            f"elsewhere ({error.strerror}); put it below directories that every user may pass",
            cause="start",
        ) from error
    bound.append(place)
    return replace(mount, source=place)


def _bind(source: Path) -> Path:
    """Bind a source to a new place; runs in the thread that starts sandboxes."""
    libc = ctypes.CDLL(None, use_errno=True)
    if threading.get_native_id() not in _apart:
        _PLACE.mkdir(parents=True, exist_ok=True)
        for directory in (_PLACE.parent, _PLACE):
            directory.chmod(0o755)
        _check(libc.unshare(_CLONE_NEWNS))
        _check(libc.mount(None, b"/", None, _MS_SLAVE | _MS_REC, None))
        options = _MS_NOSUID | _MS_NODEV
        _check(libc.mount(b"tmpfs", bytes(_PLACE), b"tmpfs", options, b"mode=0755,size=1m"))
        _apart.add(threading.get_native_id())
    place = _PLACE / str(next(_counter))
    if source.is_dir():
        place.mkdir()
    else:
        place.touch()
    try:
        _check(libc.mount(bytes(source), bytes(place), None, _MS_BIND | _MS_REC, None))
    except OSError:
        _remove(place)
        raise
    return place


def _unbind(places: list[Path]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for place in places:
        libc.umount2(bytes(place), _MNT_DETACH)
        _remove(place)


def _remove(place: Path) -> None:
    with suppress(OSError):
        place.rmdir() if place.is_dir() else place.unlink()


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
