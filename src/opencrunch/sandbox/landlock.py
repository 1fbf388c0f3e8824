"""The Landlock adapter: for Linux machines, such as containers, that allow no namespaces."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

from ..errors import PlatformError
from . import cgroup, local, seccomp
from .hierarchy import Hierarchy
from .identity import engine_is_root
from .place import Place
from .port import Capabilities, Guard, Limits, Program, Strength
from .probe import end_of
from .running import Running

_CREATE_RULESET, _ASK_VERSION = 444, 1

# From linux/landlock.h: rights on files by the version that brought them.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_RIGHTS = ((1, 0x1FFF), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
_CONNECT_AND_BIND, _SOCKETS_AND_SIGNALS = 3, 3

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
_FILES = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    # /proc/self of one process would not be that of its forks; Landlock itself keeps the memory, the
    # variables and the descriptors of processes outside its domain from being read there.
    "/proc",
    "/sys/devices/system/cpu",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class LandlockSandbox:
    """Starts programs that have given up files and network by Landlock and a filter of system calls."""

    name = "landlock"

    def __init__(self) -> None:
        self._capabilities: Capabilities | None = None

    def capabilities(self) -> Capabilities:
        """Return what this machine allows, found out by starting a program once."""
        if self._capabilities is None:
            self._capabilities = _probe(self)
        return self._capabilities

    def start(self, program: Program) -> Running:
        """Start a program.

        Raises PlatformError when it cannot be started.
        """
        if reason := _obstacle():
            raise PlatformError(f"the landlock sandbox does not work here: {reason}", cause="start")
        return local.start(program, lambda home: _confine(program, home))


@cache
def version() -> int:
    """Return the version of Landlock that this kernel offers, 0 for none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)))


def _confine(program: Program, home: Place) -> local.Confinement:
    bounded = isinstance(cgroup.available(), Hierarchy)
    rights = sum(right for since, right in _RIGHTS if version() >= since)
    paths: list[tuple[str, int]] = [(path, _READ) for path in (*_SYSTEM, *_FILES)]
    paths += [(path, _READ_FILE | _WRITE_FILE) for path in _DEVICES]
    paths += [(str(mount.source), _READ) for mount in program.mounts]
    paths += [(str(path), rights) for path in (home.workspace, home.temporary)]
    if program.gpu:
        paths += [(str(path), rights) for path in sorted(Path("/dev").glob("nvidia*"))]
        paths += [("/sys/devices", _READ), ("/sys/bus/pci", _READ), ("/proc/driver/nvidia", _READ)]
    return local.Confinement(
        seccomp=seccomp.program(shared_memory=bounded, namespaces=False, foreign_files=not engine_is_root()),
        landlock={
            "files": rights,
            "network": _CONNECT_AND_BIND if version() >= _NETWORK_SINCE else 0,
            "scoped": _SOCKETS_AND_SIGNALS if version() >= _SCOPES_SINCE else 0,
            # An older kernel refuses a longer structure only where what it does not know is not zero.
            "size": 24 if version() >= _SCOPES_SINCE else 16 if version() >= _NETWORK_SINCE else 8,
            "paths": paths,
        },
    )


def _obstacle() -> str | None:
    if version() == 0:
        return "the kernel does not offer Landlock"
    if not seccomp.supported():
        return f"there is no filter of system calls for the machine type '{os.uname().machine}'"
    return None


def _probe(sandbox: LandlockSandbox) -> Capabilities:
    reason = _obstacle()
    if reason is None:
        limits = Limits(memory=1 << 28, tasks=16, disk=1 << 20, temporary=1 << 20)
        program = Program(argv=("/bin/sh", "-c", "exit 7"), environment={}, mounts=(), limits=limits)
        reason = end_of(sandbox, program, expected=7)
    if reason is not None:
        return Capabilities(adapter=sandbox.name, available=False, reason=reason)
    return Capabilities(adapter=sandbox.name, available=True, guards=_guards(), absent=_absent())


def _guards() -> dict[Guard, Strength]:
    bounded = isinstance(cgroup.available(), Hierarchy)
    guards: dict[Guard, Strength] = dict.fromkeys(
        ("network", "files", "kernel", "environment", "identity"), "enforced"
    )
    if version() >= _SCOPES_SINCE:
        guards["ipc"] = "enforced"
    if bounded or version() >= _SCOPES_SINCE:
        guards["kill"] = "enforced"
    guards["memory"] = guards["tasks"] = "enforced" if bounded else "sampled"
    guards["disk"] = "sampled"
    return guards


def _absent() -> dict[Guard, str]:
    absent: dict[Guard, str] = {
        "metadata": "Landlock hides the content of other files, not that they are there (stat)",
        "processes": "without a pid namespace the program can tell which process ids are in use",
    }
    old = f"this kernel's Landlock has version {version()}; signals and sockets are scoped from 6 on"
    if "ipc" not in _guards():
        absent["ipc"] = old
    if "kill" not in _guards():
        absent["kill"] = f"the program can signal the process that would end it ({old})"
    return absent
