"""Where a program without mounts lives: private directories of a run, and paths translated to them."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import hierarchy
from .identity import engine_is_root, sandbox_user
from .port import Program
from .running import Layout

_counter = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A program's private directories, and where what it was promised really is."""

    root: Path
    workspace: Path
    temporary: Path
    shared: Path  # stands for /dev/shm
    paths: Mapping[str, str]  # target -> real path

    def translate(self, text: str) -> str:
        """Return a text that starts with a target with the real path instead."""
        for target in sorted(self.paths, key=len, reverse=True):
            if text == target or text.startswith(f"{target}/"):
                return self.paths[target] + text[len(target) :]
        return text

    def layout(self, program: Program) -> Layout:
        """Return what the engine says of the directories."""
        outside = {program.workspace: self.workspace, "/tmp": self.temporary, "/dev/shm": self.shared}
        return Layout(inside=dict(self.paths), outside=outside)

    def remove(self) -> None:
        """Remove the directories with all in them."""
        _remove(self.root)


def make(program: Program) -> Place:
    """Make the private directories of one program, below the system's temporary directory."""
    base = Path(tempfile.gettempdir()).resolve()
    _remove_orphans(base)
    root = Path(tempfile.mkdtemp(prefix=f"{hierarchy.group_name(next(_counter))}-", dir=base))
    made = {name: root / name for name in ("work", "tmp", "shm")}
    for directory in made.values():
        directory.mkdir(mode=0o700)
        if engine_is_root():
            os.chown(directory, *sandbox_user())
    root.chmod(0o711)
    paths = {mount.target: str(mount.source) for mount in program.mounts}
    paths |= {program.workspace: str(made["work"]), "/tmp": str(made["tmp"])}
    return Place(root=root, workspace=made["work"], temporary=made["tmp"], shared=made["shm"], paths=paths)


@cache
def _remove_orphans(base: Path) -> None:
    """Remove what an engine that was killed left, once per process."""
    for directory in base.glob(f"{hierarchy.PREFIX}*"):
        with suppress(OSError):
            if hierarchy.is_orphan(directory.name) and directory.stat().st_uid == os.geteuid():
                _remove(directory)


def _remove(root: Path) -> None:
    """Remove a tree however deep it is, and though its owner took away the right to do so.

    Nothing is followed: each directory is moved up to the root before it is emptied.
    """
    with suppress(OSError):
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            token = os.urandom(8).hex()  # no name that is there already
            names = (f"{token}-{number}" for number in itertools.count())
            while directories := _empty(descriptor, descriptor, names):
                for name in directories:
                    _lift(descriptor, name, names)
        finally:
            os.close(descriptor)
        os.rmdir(root)


def _lift(root: int, name: str, names: Iterator[str]) -> None:
    """Empty one directory of the root into the root, and remove it."""
    os.chmod(name, 0o700, dir_fd=root)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    try:
        _empty(inner, root, names)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=root)


def _empty(directory: int, root: int, names: Iterator[str]) -> list[str]:
    """Remove a directory's files and move its directories to the root; return the root's own directories."""
    own = []
    for entry in list(os.scandir(directory)):
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=directory)
        elif directory == root:
            own.append(entry.name)
        else:
            os.chmod(entry.name, 0o700, dir_fd=directory)
            os.rename(entry.name, next(names), src_dir_fd=directory, dst_dir_fd=root)
    return own
