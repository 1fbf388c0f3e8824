"""What a sandbox's processes may use together: the seam between a sandbox and what watches over it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from .port import Exceeded, Strength


@dataclass(frozen=True, kw_only=True)
class Consumption:
    """What a process tree uses now, with its peak; bytes and seconds."""

    memory: int
    peak_memory: int
    cpu: float
    tasks: int


class Bounds(Protocol):
    """Limits on memory and tasks of one process tree, kept by the kernel or by a watchdog."""

    strength: Strength

    def enter(self, pid: int) -> None:
        """Take a process, and all that it starts from now on."""
        ...

    def members(self) -> Collection[int] | None:
        """Return all processes, zombies perhaps with them; None where the bounds keep no list."""
        ...

    def freeze(self) -> bool:
        """Stop all processes at once; return False where the bounds cannot."""
        ...

    def thaw(self) -> None:
        """Let them go on."""
        ...

    def consumption(self) -> Consumption:
        """Return what the tree uses."""
        ...

    def exceeded(self) -> Exceeded | None:
        """Return the limit that was hit since the last call."""
        ...

    def close(self) -> None:
        """Free what the bounds hold; the processes are gone."""
        ...
