"""Versions of resources: what a submission keeps from one call to the next, by content.

A version is a manifest: path -> digest, size and mode of each regular file, and the directories. Contents lie
in a directory of objects named by their SHA-256. Nothing that a submission made is followed: files are opened
relative to directory descriptors with O_NOFOLLOW and O_NONBLOCK.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opencrunch.errors import ParticipantError, PlatformError

DEPTH_LIMIT = 40
ENTRY_LIMIT = 20_000
RACY_NS = 20_000_000  # a file changed within this time of a look may change again with the same stamps
PATH_LIMIT = 1024  # bytes of one path
PATHS_LIMIT = 8 << 20  # bytes of all paths
TAKE_SECONDS = 30.0  # for one look at what a submission left
_BLOCK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

Identity = Callable[[], AbstractContextManager[None]]
Stamp = tuple[int, int, int, int]  # inode, size, ctime, mode


class TreeError(ParticipantError):
    """A tree that a submission made holds more, or deeper, than is taken."""

    cause = "out-of-disk"


@dataclass(frozen=True)
class Entry:
    """One entry below a directory, as lstat saw it."""

    path: str  # relative, with /
    kind: str  # "file", "directory" or "other"
    stamp: Stamp
    allocated: int
    changed: int  # ns


@dataclass(frozen=True, kw_only=True)
class Version:
    """A state of resources."""

    files: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # path -> digest, size, mode
    times: dict[str, int] = field(default_factory=dict)  # path -> time of the last change, ns
    directories: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The name of its content, whatever the times."""
        content = {name: part for name, part in self.to_json().items() if name != "times"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The name of all of it, times included: a submission may look for its latest checkpoint."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    @property
    def size(self) -> int:
        """All files' bytes."""
        return sum(size for _, size, _ in self.files.values())

    @property
    def is_empty(self) -> bool:
        """Whether no file is there but dot files of length zero."""
        return all(size == 0 and Path(path).name.startswith(".") for path, (_, size, _) in self.files.items())

    def to_json(self) -> dict[str, Any]:
        """Return the manifest."""
        return {
            "files": {path: list(entry) for path, entry in sorted(self.files.items())},
            "times": dict(sorted(self.times.items())),
            "directories": sorted(self.directories),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Version:
        """Return the version that a manifest describes."""
        files = {path: (str(d), int(s), int(m)) for path, (d, s, m) in data["files"].items()}
        return cls(files=files, times=dict(data["times"]), directories=tuple(data["directories"]))


def walk(root: int, skip: str | None = None) -> Iterator[tuple[Entry, int]]:
    """Yield each entry below a directory's descriptor with its parent's descriptor, parents first.

    `skip` names an entry of the directory itself that is left out.

    Raises TreeError beyond a depth or a number of entries that no honest submission has.
    """
    count = paths = 0
    deadline = time.monotonic() + TAKE_SECONDS
    stack: list[tuple[str, int, int]] = [("", os.dup(root), 0)]
    try:
        while stack:
            prefix, directory, depth = stack.pop()
            try:
                with os.scandir(directory) as entries:
                    names = sorted(entry.name for entry in entries)
                for name in names:
                    if depth == 0 and name == skip:
                        continue
                    length = len(os.fsencode(prefix + name))
                    count, paths = count + 1, paths + length
                    if count > ENTRY_LIMIT or depth > DEPTH_LIMIT:
                        raise TreeError("the submission left more files, or deeper ones, than are kept")
                    if length > PATH_LIMIT or paths > PATHS_LIMIT:
                        raise TreeError("the submission left files with longer paths than are kept")
                    if time.monotonic() > deadline:
                        raise TreeError("the submission left so much that it takes too long to look at")
                    entry = _look(directory, prefix, name)
                    if entry is None:
                        continue
                    yield entry, directory
                    if entry.kind == "directory":
                        child = _open_directory(directory, name)
                        if child is not None:
                            stack.append((f"{entry.path}/", child, depth + 1))
            finally:
                os.close(directory)
    finally:
        for _, directory, _ in stack:
            os.close(directory)


def _look(directory: int, prefix: str, name: str) -> Entry | None:
    try:
        seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    kind = "file" if stat.S_ISREG(seen.st_mode) else "directory" if stat.S_ISDIR(seen.st_mode) else "other"
    stamp = (seen.st_ino, seen.st_size, seen.st_ctime_ns, stat.S_IMODE(seen.st_mode))
    return Entry(prefix + name, kind, stamp, getattr(seen, "st_blocks", 0) * 512, seen.st_mtime_ns)


def _open_directory(directory: int, name: str) -> int | None:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    except PermissionError:  # the submission took its own permission away: give it back
        _give_back(name, directory, 0o700)
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    except OSError:
        return None


def copy_file(
    source: Path,
    root: int,
    path: str,
    mode: int,
    identity: Identity = nullcontext,
    changed: int | None = None,
) -> str:
    """Copy a file to a path below a directory's descriptor, where none is, and return its SHA-256 in hex.

    It is made, not read, as what `identity` makes of this thread. No component is followed: whatever else a
    submission puts in the place of a directory, nothing is written elsewhere.
    """
    sha = hashlib.sha256()
    with open(source, "rb") as reader, identity():
        *parents, name = path.split("/")
        directory = make_directories(root, parents)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(name, flags, 0o600, dir_fd=directory), "wb") as writer:
                while block := reader.read(_BLOCK):
                    sha.update(block)
                    writer.write(block)
                writer.flush()
                os.fchmod(writer.fileno(), mode)
                if changed is not None:
                    os.utime(writer.fileno(), ns=(changed, changed))
        finally:
            os.close(directory)
    return sha.hexdigest()


def make_directories(root: int, parts: Sequence[str]) -> int:
    """Make directories below a descriptor where they are not there, and return the last one's descriptor."""
    directory = os.dup(root)
    for part in parts:
        try:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=directory)
            inner = os.open(part, _DIRECTORY, dir_fd=directory)
        finally:
            os.close(directory)
        directory = inner
    return directory


def _give_back(name: str, directory: int, mode: int) -> None:
    """Give the owner rights on an entry that it took them from; a link is never followed."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    try:
        if not stat.S_ISLNK(os.fstat(descriptor).st_mode):
            os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)


class Resources:
    """The versions of one run: takes them from sandboxes and puts them back."""

    def __init__(self, objects: Path, *, limit: int) -> None:
        self.objects = objects
        self.limit = limit
        objects.mkdir(parents=True, exist_ok=True)

    def take(self, root: Path, known: Snapshot | None = None) -> Snapshot:
        """Return the present state of a directory; files whose stamps `known` has are not read again.

        Entries that are neither files nor directories are removed: no version could bring them back.
        """
        started = time.time_ns()
        stamps: dict[str, Stamp] = {}
        files: dict[str, tuple[str, int, int]] = {}
        times: dict[str, int] = {}
        directories: list[str] = []
        total = 0
        try:
            descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            raise TreeError("resources is no directory any more") from None
        try:
            for entry, parent in walk(descriptor):
                if entry.kind == "directory":
                    directories.append(entry.path)
                    continue
                if entry.kind == "other":
                    os.unlink(entry.path.rpartition("/")[2], dir_fd=parent)
                    continue
                total += max(entry.allocated, entry.stamp[1])
                if total > self.limit:
                    raise TreeError(f"resources hold more than the limit of {self.limit:,} bytes")
                stamps[entry.path] = entry.stamp
                times[entry.path] = entry.changed
                before = known.stamps.get(entry.path) if known else None
                if known and before == entry.stamp and entry.stamp[2] < known.taken_ns - RACY_NS:
                    files[entry.path] = known.version.files[entry.path]
                else:
                    files[entry.path] = self._store(parent, entry)
        finally:
            os.close(descriptor)
        version = Version(files=files, times=times, directories=tuple(sorted(directories)))
        return Snapshot(version=version, stamps=stamps, taken_ns=started)

    def put(self, version: Version, root: Path, identity: Identity = nullcontext) -> None:
        """Write a version's files into an empty directory, as what `identity` makes of this thread."""
        descriptor = os.open(root, _DIRECTORY)
        try:
            with identity():
                for path in sorted(version.directories):
                    os.close(make_directories(descriptor, path.split("/")))
            for path, (digest, _, mode) in version.files.items():
                changed = version.times.get(path)
                source = self.objects / digest
                found = copy_file(source, descriptor, path, mode & 0o777 | 0o600, identity, changed)
                if found != digest:
                    raise PlatformError(f"the stored resources file '{path}' is damaged", cause="journal")
        finally:
            os.close(descriptor)

    def _store(self, parent: int, entry: Entry) -> tuple[str, int, int]:
        name = entry.path.rpartition("/")[2]
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(name, flags, dir_fd=parent)
        except PermissionError:
            _give_back(name, parent, 0o600)
            descriptor = os.open(name, flags, dir_fd=parent)
        with os.fdopen(descriptor, "rb") as source:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise TreeError(f"'{entry.path}' is no regular file")
            digest, size = self._copy_object(source)
        return digest, size, entry.stamp[3] & 0o777 | 0o600

    def _copy_object(self, source: Any) -> tuple[str, int]:
        temporary = self.objects / f".{os.getpid()}-{time.monotonic_ns()}"
        sha, size = hashlib.sha256(), 0
        try:
            target = open(temporary, "xb")  # noqa: SIM115 - closed below; a failure here is the host's
        except OSError as error:
            raise _host(error) from error
        try:
            with target:
                while block := source.read(_BLOCK):
                    size += len(block)
                    if size > self.limit:
                        raise TreeError(f"resources hold more than the limit of {self.limit:,} bytes")
                    sha.update(block)
                    _write_host(target, block)
                digest = sha.hexdigest()
                if not (self.objects / digest).exists():
                    _sync_host(target)
            os.replace(temporary, self.objects / digest)
        finally:
            temporary.unlink(missing_ok=True)
        return digest, size


def _host(error: OSError) -> PlatformError:
    return PlatformError(f"the run's directory cannot be written: {error.strerror}", cause="disk")


def _write_host(file: Any, block: bytes) -> None:
    try:
        file.write(block)
    except OSError as error:
        raise _host(error) from error


def _sync_host(file: Any) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise _host(error) from error


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A version, and the stamps by which an unchanged file is known."""

    version: Version
    stamps: dict[str, Stamp]
    taken_ns: int
