"""A Python of this machine: asked what it is, without running anything but the standard library."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OLDEST = (3, 11)

# -I and -S: neither the user's files nor a .pth file of any environment run.
_QUERY = """
import importlib.util, json, os, sys, sysconfig
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "version": ".".join(map(str, sys.version_info[:3])),
    "release": sys.version_info[3] == "final",
    "implementation": sys.implementation.name,
    "cache_tag": sys.implementation.cache_tag,
    "magic": importlib.util.MAGIC_NUMBER.hex(),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "prefix": sys.base_prefix,
    "exec_prefix": sys.base_exec_prefix,
    "paths": [path for path in sys.path if path],
    "platform": sysconfig.get_platform(),
}))
"""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python of this machine: its own executable, never a virtual environment's."""

    executable: Path
    version: str  # "3.11.7"
    implementation: str  # "cpython"
    cache_tag: str  # "cpython-311"
    magic: str  # of its bytecode, hex
    prefix: Path
    exec_prefix: Path
    paths: tuple[Path, ...] = field(default=())  # sys.path under -I -S: the standard library
    platform: str  # "linux-x86_64-glibc-2.36"

    @property
    def minor(self) -> str:
        """Return the version that a competition file names, such as "3.11"."""
        return ".".join(self.version.split(".")[:2])

    def shared(self) -> bool:
        """Return whether every user of this machine can run it and read its standard library."""
        return all(_readable_by_all(path) for path in (self.executable, self.prefix, *self._libraries()))

    def _libraries(self) -> Iterator[Path]:
        return (path for path in self.paths if path.is_dir())


def ask(candidate: Path) -> dict[str, Any] | None:
    """Return the answer of a candidate's own executable, None where it does not run."""
    answer = _run(candidate)
    if answer is not None and answer["executable"] != str(candidate):
        answer = _run(Path(answer["executable"]))  # the virtual environment's or the shim's base
    return answer


def _run(executable: Path) -> dict[str, Any] | None:
    try:
        done = subprocess.run(
            [str(executable), "-I", "-S", "-c", _QUERY],
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            cwd="/",
            check=True,
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return answer if isinstance(answer, dict) else None


def usable(answer: dict[str, Any] | None) -> Interpreter | None:
    """Return the interpreter that an answer describes, None where the platform does not work with it."""
    if (
        answer is None
        or answer["implementation"] != "cpython"
        or answer["free_threaded"]
        or not answer["release"]
    ):
        return None
    version = tuple(int(part) for part in answer["version"].split("."))
    if version[:2] < OLDEST:
        return None
    return Interpreter(
        executable=Path(answer["executable"]),
        version=answer["version"],
        implementation=answer["implementation"],
        cache_tag=answer["cache_tag"],
        magic=answer["magic"],
        prefix=Path(answer["prefix"]),
        exec_prefix=Path(answer["exec_prefix"]),
        paths=tuple(Path(path) for path in answer["paths"]),
        platform=_platform(answer["platform"]),
    )


def _readable_by_all(path: Path) -> bool:
    try:
        if not path.stat().st_mode & 0o004:
            return False
        return all(parent.stat().st_mode & 0o001 for parent in path.parents)
    except OSError:
        return False


def _platform(reported: str) -> str:
    """Return the platform with its C library: a wheel that suits a newer one may not load on an older."""
    try:
        library = (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "-")
    except (ValueError, OSError, AttributeError):
        library = ""
    return f"{reported}-{library or platform.release().split('-')[0]}"
