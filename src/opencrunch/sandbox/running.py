"""A running sandbox: the part of the port's `Process` that all adapters share."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .bounds import Bounds
from .disk import Disk
from .port import Exceeded, Program, Usage

_SWEEP_SECONDS = 1.0
_KILL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the program's directories are: as it sees them, and as the engine reaches them."""

    inside: Mapping[str, str]  # only what differs
    outside: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class Started:
    """What an adapter has when its program runs."""

    program: Program
    launcher: subprocess.Popen[bytes]  # a child of the engine; ends as the program does
    init: int  # host pid of the process whose descendants are the program's
    members: Callable[[], Collection[int]]  # all host pids of the tree, init perhaps with them
    control: socket.socket
    output: int
    bounds: Bounds
    disk: Disk
    layout: Layout
    kill: Callable[[], None]  # sends the signals that end the tree
    free: Callable[[], None] = lambda: None  # after the end of all processes


class Running:
    """A started program and everything that it starts."""

    def __init__(self, started: Started) -> None:
        self._started = started
        self.control = started.control
        self.output = started.output
        self._paused = False
        self._closed = False

    def inside(self, mount: str) -> str:
        """Return the path at which the program sees a mount's target, the workspace or /tmp."""
        return self._started.layout.inside.get(mount, mount)

    def outside(self, path: str) -> Path:
        """Return the path by which the engine reaches the workspace, /tmp or /dev/shm."""
        try:
            return self._started.layout.outside[path]
        except KeyError:
            known = ", ".join(self._started.layout.outside)
            raise ValueError(f"'{path}' is no directory of the sandbox; there are: {known}") from None

    def tree(self) -> tuple[int, ...]:
        """Return the host pids of the program's processes, oldest first."""
        listed = self._started.bounds.members()
        pids = self._started.members() if listed is None else listed
        own = (self._started.init, self._started.launcher.pid)
        return processes.living(pid for pid in pids if pid not in own)

    def sweep(self, keep: tuple[int, ...]) -> bool:
        """Kill all processes but `keep`; return False where some would not go."""
        limit = time.monotonic() + _SWEEP_SECONDS
        looks = 0
        while time.monotonic() < limit:
            # Frozen, none can start another between the look and the kill; nor hide by forking and ending
            # all the time. Without a freezer one look that finds none may have missed it, so it takes two.
            frozen = self._started.bounds.freeze()
            others = [pid for pid in self.tree() if pid not in keep]
            for pid in others:
                _signal(pid, signal.SIGKILL)
            if frozen and (others or not self._paused):
                self._started.bounds.thaw()
            looks = 0 if others else looks + 1
            if looks > (0 if frozen else 1):
                return True
            if others:
                time.sleep(0.0002)
        return False

    def pause(self) -> None:
        """Stop every process of the tree."""
        self._paused = True
        if self._started.bounds.freeze():
            return
        stopped: set[int] = set()
        while new := set(self.tree()) - stopped:
            for pid in new:
                _signal(pid, signal.SIGSTOP)
            stopped |= new

    def resume(self) -> None:
        """Let the tree go on."""
        if not self._paused:
            return
        self._paused = False
        self._started.bounds.thaw()
        if self._started.bounds.members() is None:
            for pid in self.tree():
                _signal(pid, signal.SIGCONT)

    def usage(self) -> Usage:
        """Return what the tree uses."""
        used = self._started.bounds.consumption()
        return Usage(
            memory=used.memory,
            peak_memory=used.peak_memory,
            cpu=used.cpu,
            tasks=used.tasks,
            disk=self._started.disk.used(),
        )

    def exceeded(self) -> Exceeded | None:
        """Return the limit that was hit since the last call, or a workspace that is full now."""
        return self._started.bounds.exceeded() or self._started.disk.exceeded()

    def alive(self) -> bool:
        """Return whether the first process still runs."""
        return self.returncode() is None

    def returncode(self) -> int | None:
        """Return how the first process ended; as in a shell, a status above 128 counts as a signal."""
        code = self._started.launcher.poll()
        return 128 - code if code is not None and 128 < code <= 128 + signal.NSIG else code

    def kill(self) -> None:
        """Kill the whole tree and free all it held; may be called twice."""
        if self._closed:
            return
        self._closed = True
        started = self._started
        started.disk.close()
        started.kill()
        started.bounds.thaw()  # what is frozen dies only now
        with suppress(subprocess.TimeoutExpired):
            started.launcher.wait(timeout=_KILL_SECONDS)
        started.launcher.kill()
        started.launcher.wait()
        started.bounds.close()
        started.free()
        self.control.close()
        os.close(self.output)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
