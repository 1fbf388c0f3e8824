"""Published environments: looking them up, holding them while they are used, removing the oldest."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PlatformError
from .interpreter import Interpreter
from .layout import Layout
from .lock import Lock

SCHEMA_VERSION = 1
GRACE = 600.0  # seconds between a look-up and the holding of what it found


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A published environment; its files are never written again."""

    path: Path
    interpreter: Path  # the base executable, never a virtual environment's
    python_version: str  # "3.11.7"
    prefix: Path  # of the interpreter: what a sandbox must see
    standard_library: tuple[Path, ...]  # sys.path of the bare interpreter
    site_packages: Path
    digest: str
    lock_digest: str
    packages: Mapping[str, str]
    notes: tuple[str, ...] = ()
    default: bool = False  # the submission has no requirements file
    built: bool = False  # by this call
    seconds: float = 0.0  # that this call took

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the environment from being removed while the block runs.

        Raises PlatformError when it was removed since it was looked up.
        """
        record = self.path / "environment.json"
        try:
            descriptor = os.open(record, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _gone(self) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            try:
                same = os.path.samestat(os.fstat(descriptor), os.stat(record))
            except OSError as error:
                raise _gone(self) from error
            if not same:
                raise _gone(self)
            yield
        finally:
            os.close(descriptor)
            stamp(self.path.parent / ".used" / self.digest)


def read_record(digest: str, layout: Layout) -> dict[str, Any] | None:
    """Return what a published environment says of itself, None where there is none."""
    try:
        record = json.loads((layout.environments / digest / "environment.json").read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("schema_version") != SCHEMA_VERSION:
        return None
    return record if record.get("digest") == digest else None


def make_record(lock: Lock, interpreter: Interpreter, notes: list[str], size: int, bytecode: int) -> bytes:
    """Return the content of environment.json."""
    record = {
        "schema_version": SCHEMA_VERSION,
        "digest": lock.environment,
        "lock_digest": lock.digest,
        "python": {"implementation": interpreter.implementation, "version": interpreter.version},
        "platform": interpreter.platform,
        "packages": lock.packages(),
        "notes": notes,
        "bytes": size,
        "bytecode_files": bytecode,
    }
    return json.dumps(record, indent=1).encode()


def open_environment(
    lock: Lock, interpreter: Interpreter, layout: Layout, notes: tuple[str, ...], *, default: bool
) -> Environment | None:
    """Return the environment that a lock makes, stamped as used, or None where it is not published."""
    record = read_record(lock.environment, layout)
    if record is None:
        return None
    stamp(layout.used / lock.environment)
    path = layout.environments / lock.environment
    return Environment(
        path=path,
        interpreter=interpreter.executable,
        python_version=interpreter.version,
        prefix=interpreter.prefix,
        standard_library=interpreter.paths,
        site_packages=path / "site-packages",
        digest=lock.environment,
        lock_digest=lock.digest,
        packages=record["packages"],
        notes=(*notes, *record["notes"]),
        default=default,
    )


def stamp(path: Path) -> None:
    """Say that an environment is used now; someone else's cache that cannot be written stays as it is."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.utime(descriptor)
        os.close(descriptor)
    except OSError:
        pass


def trim(cache: Path, limit_bytes: int, *, grace: float = GRACE) -> tuple[str, ...]:
    """Remove the least recently used environments until the rest fits; return the digests removed.

    One that is held, or was looked up within the last `grace` seconds, stays.
    """
    layout = Layout(cache=cache)
    sizes = {digest: record["bytes"] for digest, record in _published(layout)}
    total = sum(sizes.values())
    removed: list[str] = []
    for digest in sorted(sizes, key=lambda digest: _last_use(digest, layout)):
        if total <= limit_bytes:
            break
        if time.time() - _last_use(digest, layout) >= grace and _remove(digest, layout):
            removed.append(digest)
            total -= sizes[digest]
    return tuple(removed)


def _published(layout: Layout) -> Iterator[tuple[str, dict[str, Any]]]:
    if not layout.environments.is_dir():
        return
    for name in sorted(os.listdir(layout.environments)):
        record = None if name.startswith(".") else read_record(name, layout)
        if record is not None:
            yield name, record


def _last_use(digest: str, layout: Layout) -> float:
    for path in (layout.used / digest, layout.environments / digest):
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return 0.0


def _remove(digest: str, layout: Layout) -> bool:
    """Remove an environment that nobody holds; whoever opened it meanwhile finds it gone."""
    path = layout.environments / digest
    try:
        descriptor = os.open(path / "environment.json", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        grave = layout.trash / f"{digest}.{os.getpid()}.{time.monotonic_ns()}"
        layout.create()
        os.rename(path, grave)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    (layout.used / digest).unlink(missing_ok=True)
    shutil.rmtree(grave, ignore_errors=True)
    return True


def _gone(environment: Environment) -> PlatformError:
    return PlatformError(
        f"the environment {environment.digest[:12]} was removed from the cache meanwhile: start again"
    )
