"""The sandbox port: how a program is started where it can reach nothing that it was not given.

An adapter starts a `Program` and returns a `Process`. All adapters promise the same behaviour; what one
cannot promise it leaves out of `guards`, and the run's record says so.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Guard = Literal[
    "network",  # no socket but a Unix pair
    "files",  # nothing of the host but the mounts
    "metadata",  # not even stat, chmod, utime of other files
    "processes",  # no other process seen, signalled or traced
    "ipc",  # no System V objects, POSIX queues, abstract sockets of others
    "kernel",  # no dangerous system calls
    "environment",  # no variables but those given
    "memory",  # bounded for the whole tree
    "tasks",  # bounded processes and threads
    "disk",  # bounded workspace, /tmp and /dev/shm
    "kill",  # nothing outlives a kill
    "identity",  # never host uid 0
]

Strength = Literal["enforced", "sampled"]


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A host directory or file that the sandbox sees read-only at `target`.

    Its content may grow while the sandbox runs; the growth is seen at once.
    """

    source: Path
    target: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds for the whole process tree; sizes in bytes."""

    memory: int
    tasks: int
    disk: int  # the workspace
    temporary: int = 1 << 30  # /tmp, and as much again for /dev/shm
    descriptors: int = 4096


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is started: argv, a full environment, mounts, limits.

    `{control}` in an argument is replaced by the number of the control socket's descriptor. The program
    starts in `workspace` (an empty, private, writable, bounded directory); /tmp and /dev/shm are private,
    writable and bounded too where the adapter can.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    limits: Limits
    workspace: str = "/work"
    gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the tree uses now, and its peak; bytes and seconds."""

    memory: int
    peak_memory: int
    cpu: float
    tasks: int
    disk: int


@dataclass(frozen=True, kw_only=True)
class Exceeded:
    """Evidence from outside that a limit was hit since the last look."""

    cause: Literal["out-of-memory", "too-many-processes", "out-of-disk"]
    used: int
    limit: int


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an adapter gives on this machine: each guard with its strength; absent ones with the reason."""

    adapter: str
    available: bool
    reason: str = ""  # why it is not available
    guards: Mapping[Guard, Strength] = field(default_factory=dict)
    absent: Mapping[Guard, str] = field(default_factory=dict)


class Process(Protocol):
    """A started program and everything that it starts."""

    control: socket.socket  # stream socket to the program
    output: int  # descriptor: stdout and stderr of the whole tree, non-blocking

    def inside(self, mount: str) -> str:
        """Return the path at which the program sees a mount's target (or the workspace)."""
        ...

    def outside(self, path: str) -> Path:
        """Return the path by which the engine reaches a directory of the sandbox (workspace, /tmp, /dev/shm).

        Nothing below it may be followed: open with O_NOFOLLOW relative to a descriptor of it.
        """
        ...

    def tree(self) -> tuple[int, ...]:
        """Return the host pids of the program's processes, the sandbox's own init left out, oldest first."""
        ...

    def sweep(self, keep: tuple[int, ...]) -> bool:
        """Kill all processes but `keep` (host pids); return False where some would not go (then kill)."""
        ...

    def pause(self) -> None:
        """Stop every process of the tree."""
        ...

    def resume(self) -> None:
        """Let the tree go on."""
        ...

    def usage(self) -> Usage:
        """Return what the tree uses."""
        ...

    def exceeded(self) -> Exceeded | None:
        """Return the limit that was hit since the last call, from evidence outside the sandbox."""
        ...

    def alive(self) -> bool:
        """Return whether the first process still runs."""
        ...

    def returncode(self) -> int | None:
        """Return how the first process ended (negative: a signal), None while it runs."""
        ...

    def kill(self) -> None:
        """Kill the whole tree within a second and free all it held; may be called twice."""
        ...


class Sandbox(Protocol):
    """An adapter."""

    name: str

    def capabilities(self) -> Capabilities:
        """Return what this machine allows, found out by trying (cached per process)."""
        ...

    def start(self, program: Program) -> Process:
        """Start a program.

        Raises PlatformError when it cannot be started.
        """
        ...
