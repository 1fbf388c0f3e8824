"""Processes as /proc shows them: who descends from whom, and what each uses."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stat:
    """One line of /proc/PID/stat: state letter, parent, start in ticks since boot, CPU seconds."""

    pid: int
    state: str
    parent: int
    start: int
    cpu: float  # of the process and of its children that were waited for

    @property
    def zombie(self) -> bool:
        """Whether the process has ended and is only not yet waited for."""
        return self.state in "ZXx"


def stat(pid: int) -> Stat | None:
    """Return what /proc says of a process, None where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return None
    fields = data[data.rindex(b")") + 2 :].split()  # a process may have brackets in its name
    cpu = sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return Stat(pid=pid, state=fields[0].decode(), parent=int(fields[1]), start=int(fields[19]), cpu=cpu)


def name(pid: int) -> str | None:
    """Return the name of the program that a process runs, at most 15 bytes of it."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return None


def living(pids: Iterable[int]) -> tuple[int, ...]:
    """Return those that are no zombies, oldest first."""
    stats = [found for pid in pids if (found := stat(pid)) is not None and not found.zombie]
    return tuple(found.pid for found in sorted(stats, key=lambda found: (found.start, found.pid)))


def children(pid: int) -> list[int]:
    """Return the children of all threads of a process, zombies with them."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        if os.path.exists(f"/proc/{pid}/task/{pid}") and not os.path.exists(
            f"/proc/{pid}/task/{pid}/children"
        ):
            return _children_by_scan(pid)  # a kernel without CONFIG_PROC_CHILDREN
    except OSError:
        pass
    return found


def descendants(pid: int) -> list[int]:
    """Return all processes below one, which is left out."""
    found: dict[int, None] = {}
    todo = [pid]
    while todo:
        for child in children(todo.pop()):
            if child not in found:
                found[child] = None
                todo.append(child)
    return list(found)


def everything() -> list[int]:
    """Return all pids that /proc shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def namespace_members(pid: int) -> list[int]:
    """Return all processes in the pid namespace of one, which is left out.

    Unlike a walk from parent to child this misses none that changes its parent meanwhile.
    """
    try:
        wanted = os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return []
    found = []
    for other in everything():
        try:
            if other != pid and os.readlink(f"/proc/{other}/ns/pid") == wanted:
                found.append(other)
        except OSError:
            continue
    return found


def threads(pid: int) -> int:
    """Return how many threads a process has, 0 where it is gone."""
    try:
        return os.stat(f"/proc/{pid}/task").st_nlink - 2
    except OSError:
        return 0


def sockets(pid: int) -> set[str]:
    """Return the sockets that a process has open."""
    found = set()
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if target.startswith("socket:"):
                    found.add(target)
    return found


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds, those shared with others included."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def proportional(pid: int) -> int:
    """Return the bytes of anonymous and shared memory of a process, pages of several split among them.

    Pages of files are left out: the kernel can drop them. Slower than `resident`.
    """
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith((b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")):
                    total += int(line.split()[1]) * 1024
    except (OSError, IndexError):
        return 0
    return total


def _children_by_scan(pid: int) -> list[int]:
    stats = (stat(other) for other in everything())
    return [found.pid for found in stats if found is not None and found.parent == pid]
