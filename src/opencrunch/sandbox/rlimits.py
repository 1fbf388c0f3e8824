"""Limits that the kernel keeps for each process, set by the program's own first step."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence

from .identity import engine_is_root
from .port import Limits


def limited(argv: Sequence[str], limits: Limits) -> list[str]:
    """Return a command that bounds itself before it becomes the program.

    The engine cannot always do so from outside: root in a container may lack CAP_SYS_RESOURCE.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = limits.descriptors if hard == resource.RLIM_INFINITY else min(limits.descriptors, hard)
    blocks = -(-max(limits.disk, limits.temporary) // 512)
    # bubblewrap adds PWD to the variables that it was given.
    script = f'unset PWD; ulimit -c 0 && ulimit -n {files} && ulimit -f {blocks} && exec "$@"'
    return ["/bin/sh", "-c", script, "sh", *argv]


def tasks_by_rlimit() -> bool:
    """Return whether RLIMIT_NPROC can bound a sandbox: since Linux 5.14 it counts in each user namespace."""
    release = os.uname().release.split(".")
    version = tuple(int("".join(filter(str.isdigit, part)) or 0) for part in release[:2])
    return version >= (5, 14) and not engine_is_root()
