"""The Pythons that this machine has, and which one a competition gets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import PlatformError, UsageError
from ..settings import index_environment
from .installer import uv_executable
from .interpreter import OLDEST, Interpreter, ask, usable
from .layout import Layout, write_atomically

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
SCHEMA_VERSION = 1


def find_interpreter(python: str | None, layout: Layout) -> Interpreter:
    """Return the interpreter for a version such as "3.11" or "3.11.7"; None: one like the engine's own.

    What was found is remembered while the executable stays the same file, so a second look starts nothing.
    Raises PlatformError when this machine has none.
    """
    wanted = python or ".".join(map(str, sys.version_info[:2]))
    if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,3})?", wanted):
        raise UsageError(f'python = "{wanted}" is not a version: expected one such as "3.11"')
    if tuple(map(int, wanted.split(".")[:2])) < OLDEST:
        raise UsageError(f'python = "{wanted}" is too old: the oldest that the platform works with is 3.11')
    known = _Known(layout)
    choice = known.choice(wanted)
    if choice is None:
        choice = _choose(wanted, known)
        known.remember(wanted, choice)
    return choice


def installed(layout: Layout) -> tuple[Interpreter, ...]:
    """Return every usable interpreter of this machine, the engine's own first, without repetition."""
    return _search(_Known(layout), None)


def _choose(wanted: str, known: _Known) -> Interpreter:
    matching = [found for found in _search(known, wanted) if _matches(found, wanted)]
    if not matching:
        versions = sorted({found.version for found in _search(known, None)})
        raise PlatformError(
            f"Python {wanted} is needed, but this machine has {', '.join(versions) or 'none'}: "
            f"install Python {wanted}, or name another version in the competition file"
        )
    if os.geteuid() == 0:  # a sandbox of root's runs as another user, who may not see what root keeps private
        matching.sort(key=lambda found: not found.shared())
    return matching[0]


def _search(known: _Known, wanted: str | None) -> tuple[Interpreter, ...]:
    found: dict[Path, Interpreter] = {}
    for candidate in _candidates(wanted):
        interpreter = known.query(candidate)
        if interpreter is not None:
            found.setdefault(interpreter.executable, interpreter)
    known.save()
    return tuple(found.values())


def _candidates(wanted: str | None) -> Iterator[Path]:
    yield Path(getattr(sys, "_base_executable", None) or sys.executable)
    minors = [".".join(wanted.split(".")[:2])] if wanted else list(SUPPORTED)
    environment = index_environment()
    home = Path(environment.get("HOME", "/nonexistent"))
    folders = [Path(part) for part in environment.get("PATH", os.defpath).split(os.pathsep) if part]
    folders += [Path("/usr/bin"), Path("/usr/local/bin")]
    for minor in minors:
        yield from (folder / f"python{minor}" for folder in folders)
        yield from sorted((home / ".pyenv" / "versions").glob(f"{minor}.*/bin/python{minor}"), reverse=True)
        yield from _uv_finds(minor)


def _uv_finds(minor: str) -> Iterator[Path]:
    command = [
        uv_executable(),
        "python",
        "find",
        "--no-config",
        "--no-project",
        "--no-python-downloads",
        minor,
    ]
    try:
        done = subprocess.run(
            command, env=index_environment(), capture_output=True, text=True, timeout=60, cwd="/", check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0 and done.stdout.strip():
        yield Path(done.stdout.strip())


def _matches(interpreter: Interpreter, wanted: str) -> bool:
    return wanted in (interpreter.version, interpreter.minor)


class _Known:
    """What queries have told before, kept in the cache, each valid for one state of one executable."""

    def __init__(self, layout: Layout) -> None:
        self._file = layout.interpreters
        self._changed = False
        self._data: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "queries": {}, "choices": {}}
        try:
            data = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(data, dict) and data.get("schema_version") == SCHEMA_VERSION:
            self._data = data

    def query(self, candidate: Path) -> Interpreter | None:
        """Return what a candidate is, None for one that does not run or is not usable."""
        state = _state(candidate)
        if state is None:
            return None
        entry = self._data["queries"].get(str(candidate))
        if entry is None or entry["state"] != state:
            entry = {"state": state, "answer": ask(candidate)}
            self._data["queries"][str(candidate)] = entry
            self._changed = True
        return usable(entry["answer"])

    def choice(self, wanted: str) -> Interpreter | None:
        """Return what was chosen for a version before, if that executable is still the same file."""
        entry = self._data["choices"].get(self._name(wanted))
        if entry is None or _state(Path(entry["answer"]["executable"])) != entry["state"]:
            return None
        return usable(entry["answer"])

    def remember(self, wanted: str, choice: Interpreter) -> None:
        """Keep what was chosen for a version."""
        for entry in list(self._data["queries"].values()):
            if entry["answer"] and entry["answer"]["executable"] == str(choice.executable):
                state = _state(choice.executable)
                self._data["choices"][self._name(wanted)] = {"state": state, "answer": entry["answer"]}
                self._changed = True
        self.save()

    def save(self) -> None:
        """Write what changed; a cache that cannot be written only makes the next look slower."""
        if not self._changed:
            return
        try:
            write_atomically(self._file, json.dumps(self._data, indent=1).encode())
        except OSError:
            return
        self._changed = False

    @staticmethod
    def _name(wanted: str) -> str:
        # The engine's own Python comes first in every search, and users see different files.
        return f"{wanted} {os.geteuid()} {sys.base_prefix}"


def _state(path: Path) -> list[int] | None:
    """Return what tells one state of a file from another, None where it is not an executable file."""
    try:
        status = path.stat()
    except OSError:
        return None
    if not shutil.which(str(path)):
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
