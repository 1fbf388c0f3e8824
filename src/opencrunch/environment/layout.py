"""Where environments and what belongs to them lie in the cache, and how files get there."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The places below a cache directory."""

    cache: Path

    @property
    def environments(self) -> Path:
        """Return the directory whose entries are published environments, named by digest."""
        return self.cache / "environments"

    @property
    def building(self) -> Path:
        """Return the directory of private, unfinished builds; beside the published: a rename must do."""
        return self.environments / ".building"

    @property
    def trash(self) -> Path:
        """Return the directory of removed environments whose files are still being deleted."""
        return self.environments / ".trash"

    @property
    def used(self) -> Path:
        """Return the directory of stamps that say when an environment was used last."""
        return self.environments / ".used"

    @property
    def guards(self) -> Path:
        """Return the directory of lock files that let one process work and the others wait."""
        return self.environments / ".guards"

    @property
    def locks(self) -> Path:
        """Return the directory of resolved requirements, named by what was asked."""
        return self.cache / "locks"

    @property
    def interpreters(self) -> Path:
        """Return the file that remembers what the machine's Pythons are."""
        return self.cache / "interpreters.json"

    def create(self) -> None:
        """Make all directories, readable by every user whatever the umask is."""
        for folder in (self.cache, self.environments, self.locks, self.used, self.guards):
            _make(folder, 0o755)
        _make(self.building, 0o711)  # the sandbox's user passes through it to a build that is being checked
        _make(self.trash, 0o700)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content as a whole, readable by every user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _make(folder: Path, mode: int) -> None:
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        return
    folder.chmod(mode)
