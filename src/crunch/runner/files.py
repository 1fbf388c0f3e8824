"""Files that the submission opened at import: each fork gets its own position in them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass


@dataclass(frozen=True)
class OpenFile:
    """A descriptor of a regular file, as it was when the import ended."""

    descriptor: int
    identity: tuple[int, int]
    flags: int
    position: int

    def open_anew(self) -> None:
        """Open the file again under the same number: a fork would share its position with later calls."""
        try:
            fresh = os.open(
                f"/proc/self/fd/{self.descriptor}", self.flags & ~(os.O_CREAT | os.O_TRUNC | os.O_EXCL)
            )
            os.lseek(fresh, self.position, os.SEEK_SET)
            os.dup2(fresh, self.descriptor, inheritable=False)
            os.close(fresh)
        except OSError:
            pass  # removed meanwhile, or not to be opened again: it stays shared


def open_files() -> list[OpenFile]:
    """Return this process's descriptors of regular files."""
    found = []
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return []
    for name in names:
        try:
            seen = os.fstat(int(name))
            if stat.S_ISREG(seen.st_mode):
                import fcntl

                flags = fcntl.fcntl(int(name), fcntl.F_GETFL)
                position = os.lseek(int(name), 0, os.SEEK_CUR)
                found.append(OpenFile(int(name), (seen.st_dev, seen.st_ino), flags, position))
        except OSError:
            continue
    return found
