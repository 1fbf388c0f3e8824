"""The submission's working directory in a sandbox: filled before it starts, put right after each call.

All of it is done from outside, through directory descriptors, and nothing is followed.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from opencrunch.resources import Resources, Snapshot, Stamp, TreeError, Version, copy_file, walk
from opencrunch.sandbox.identity import acting_as_sandbox
from opencrunch.sandbox.port import Process
from opencrunch.submission.files import RESOURCES, Submission, SubmissionError

TARGET = "/work"
SCRATCH = ("/tmp", "/dev/shm")


class Workspace:
    """The working directory of one sandbox."""

    def __init__(self, process: Process, submission: Submission, resources: Resources) -> None:
        self.process = process
        self.submission = submission
        self.resources = resources
        self._root = os.open(process.outside(TARGET), os.O_RDONLY | os.O_DIRECTORY)
        # Held from the start: the path leads through a process id, which another process may have one day.
        self.root = Path(f"/proc/self/fd/{self._root}")
        self._scratch = [
            os.open(process.outside(path), os.O_RDONLY | os.O_DIRECTORY)
            for path in SCRATCH
            if process.outside(path).is_dir()
        ]
        self._sources = {file.path: file for file in submission.code}
        self._baseline: dict[str, Stamp] = {}
        self._snapshot: Snapshot | None = None

    def close(self) -> None:
        """Give the directories free."""
        for descriptor in (self._root, *self._scratch):
            os.close(descriptor)
        self._scratch = []

    def fill(self, version: Version) -> None:
        """Copy the submission's code and a version of its resources into the empty workspace.

        Raises SubmissionError where they do not fit.
        """
        try:
            for path in self._sources:
                self._restore(path)
            with acting_as_sandbox():
                os.mkdir(RESOURCES, dir_fd=self._root)
            self.resources.put(version, self.root / RESOURCES, acting_as_sandbox)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            total = sum(file.size for file in self._sources.values()) + version.size
            raise SubmissionError(
                f"the submission's files ({total:,} bytes) do not fit into the competition's disk limit"
            ) from error
        self._baseline = self._look()
        self._snapshot = self.resources.take(self.root / RESOURCES)

    def put_resources(self, version: Version) -> None:
        """Replace resources by a version."""
        if self._snapshot is not None and self._snapshot.version == version:
            return
        descriptor = os.open(RESOURCES, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._root)
        try:
            empty(descriptor)
        finally:
            os.close(descriptor)
        self.resources.put(version, self.root / RESOURCES, acting_as_sandbox)
        self._snapshot = self.resources.take(self.root / RESOURCES)

    def take_resources(self) -> Version:
        """Return the version that resources are in now; where the submission removed them they are empty.

        Raises TreeError for what is no directory any more, or holds too much.
        """
        with acting_as_sandbox(), suppress(OSError):
            os.mkdir(RESOURCES, dir_fd=self._root)
        self._snapshot = self.resources.take(self.root / RESOURCES, self._snapshot)
        return self._snapshot.version

    def clean(self) -> bool:
        """Undo what a call wrote outside resources: in the working directory, /tmp and /dev/shm.

        Returns False where it left what cannot be undone: the sandbox is of no more use then.
        """
        try:
            self._clean()
        except (TreeError, OSError):
            return False
        return True

    def _clean(self) -> None:
        for scratch in self._scratch:
            empty(scratch)
        present = self._look()
        changed = [path for path, stamp in present.items() if self._baseline.get(path) != stamp]
        for path in sorted(changed, reverse=True):
            _remove(self._root, path)
        missing = [path for path in self._baseline if path not in present or path in changed]
        for path in missing:
            if path in self._sources:
                self._restore(path)
        if changed or missing:
            self._baseline = self._look()

    def _look(self) -> dict[str, Stamp]:
        """Return the stamps of everything but resources; of a directory only that it is there."""
        stamps: dict[str, Stamp] = {}
        for entry, _ in walk(self._root, skip=RESOURCES):
            inode, _, _, mode = entry.stamp
            stamps[entry.path] = (inode, 0, 0, mode) if entry.kind == "directory" else entry.stamp
        return stamps

    def _restore(self, path: str) -> None:
        file = self._sources[path]
        copy_file(file.source, self._root, path, 0o755 if file.executable else 0o644, acting_as_sandbox)


def empty(directory: int) -> None:
    """Remove everything below a directory's descriptor; raises TreeError where it is too much or too deep."""
    for entry in reversed([entry for entry, _ in walk(directory)]):
        _remove(directory, entry.path)


def _remove(root: int, path: str) -> None:
    """Unlink one entry, or an emptied directory, without following any component."""
    *parents, name = path.split("/")
    descriptor = os.dup(root)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        try:
            os.unlink(name, dir_fd=descriptor)
        except (IsADirectoryError, PermissionError):
            os.rmdir(name, dir_fd=descriptor)
    except FileNotFoundError:
        pass  # its parent went first
    except OSError as error:
        raise TreeError(f"'{path}' could not be removed: {error.strerror}") from error
    finally:
        os.close(descriptor)
