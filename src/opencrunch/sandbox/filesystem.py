"""What a program in bubblewrap sees of files: arguments, and the descriptors that they name."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PlatformError
from .port import Mount, Program

UID = 1000  # inside
GID = 1000

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
_FROM_HOST = ("/etc/ld.so.cache", "/etc/localtime")
_ETC: Mapping[str, str] = {
    "passwd": f"sandbox:x:{UID}:{GID}::/work:/bin/sh\n",
    "group": f"sandbox:x:{GID}:\n",
    "hosts": "127.0.0.1 localhost sandbox\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


@dataclass
class FileSystem:
    """Arguments for bubblewrap; the descriptors stay open until `close`."""

    arguments: list[str] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Close the descriptors."""
        while self.descriptors:
            os.close(self.descriptors.pop())


def build(program: Program, mounts: Sequence[Mount]) -> FileSystem:
    """Return a read-only root with the system, the mounts, and private bounded writable directories.

    `mounts` are the program's, with sources that the sandbox's user reaches. Raises PlatformError for a
    target that will not do.
    """
    built = FileSystem()
    try:
        _add_system(built)
        _add_devices(built, program)
        _add_writable(built, program)
        for mount in sorted(mounts, key=lambda mount: mount.target.count("/")):
            _add_mount(built, mount)
        built.arguments += ["--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/"]
    except BaseException:
        built.close()
        raise
    return built


def _add_system(built: FileSystem) -> None:
    for path in _SYSTEM:
        if os.path.islink(path):
            built.arguments += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            built.arguments += ["--ro-bind", path, path]
    built.arguments += ["--dir", "/etc"]
    for name, text in _ETC.items():
        descriptor = os.memfd_create(name)
        built.descriptors.append(descriptor)
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        built.arguments += ["--perms", "0444", "--file", str(descriptor), f"/etc/{name}"]
    for path in _FROM_HOST:
        built.arguments += ["--ro-bind-try", path, path]
    built.arguments += ["--proc", "/proc"]


def _add_devices(built: FileSystem, program: Program) -> None:
    built.arguments += ["--dev", "/dev"]
    if program.gpu:
        for device in sorted(Path("/dev").glob("nvidia*")):
            built.arguments += ["--dev-bind", str(device), str(device)]
        built.arguments += ["--ro-bind-try", "/sys/devices", "/sys/devices"]
        built.arguments += ["--ro-bind-try", "/sys/bus/pci", "/sys/bus/pci"]


def _add_writable(built: FileSystem, program: Program) -> None:
    limits = program.limits
    for mode, size, path in (
        ("1777", limits.temporary, "/tmp"),
        ("1777", limits.temporary, "/dev/shm"),
        ("0755", limits.disk, program.workspace),
    ):
        built.arguments += ["--perms", mode, "--size", str(size), "--tmpfs", path]


def _add_mount(built: FileSystem, mount: Mount) -> None:
    target = mount.target
    if not target.startswith("/") or posixpath.normpath(target) != target or target == "/":
        raise PlatformError(
            f"a mount's target must be an absolute, plain path; not '{target}'", cause="start"
        )
    built.arguments += ["--ro-bind", str(mount.source), target]
