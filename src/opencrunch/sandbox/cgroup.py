"""A control group for each sandbox: the kernel bounds memory and tasks, and lists and freezes the tree."""

from __future__ import annotations

import itertools
import os
import signal
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from . import hierarchy
from .bounds import Consumption
from .hierarchy import Hierarchy
from .port import Exceeded, Limits, Strength

_GONE_SECONDS = 2.0
_OWN_TASKS = 1  # the sandbox's own init
_counter = itertools.count(1)


@cache
def available() -> Hierarchy | str:
    """Return where groups are made here, or why there are none; groups of dead engines are removed."""
    found = hierarchy.find()
    if isinstance(found, Hierarchy):
        remove_orphans(found)
    return found


class Cgroup:
    """The group of one sandbox, in each hierarchy that matters."""

    strength: Strength = "enforced"

    def __init__(self, place: Hierarchy, limits: Limits) -> None:
        self._v2 = place.version == 2
        name = hierarchy.group_name(next(_counter))
        self._groups = {controller: parent / name for controller, parent in place.parents.items()}
        self._limits = limits
        try:
            for group in set(self._groups.values()):
                group.mkdir()
            self._bound(limits)
        except OSError:
            self.close()
            raise
        self._kills = self._count_kills()
        self._refusals = self._count_refusals()

    def enter(self, pid: int) -> None:
        """Take a process, and all that it starts from now on."""
        for group in set(self._groups.values()):
            (group / "cgroup.procs").write_text(str(pid))

    def members(self) -> list[int]:
        """Return all processes of the group."""
        try:
            return [int(line) for line in (self._groups["pids"] / "cgroup.procs").read_text().split()]
        except OSError:
            return []

    def freeze(self) -> bool:
        """Stop all processes at once."""
        if "freezer" not in self._groups:
            return False
        frozen = self._set_frozen(True)
        limit = time.monotonic() + 1.0
        while frozen and not self._is_frozen() and time.monotonic() < limit:
            time.sleep(0.00005)
        return frozen

    def thaw(self) -> None:
        """Let them go on."""
        if "freezer" in self._groups:
            self._set_frozen(False)

    def consumption(self) -> Consumption:
        """Return what the group uses; pages of files that the kernel can drop are not counted as used now."""
        memory, pids = self._groups["memory"], self._groups["pids"]
        used = _number(memory / ("memory.current" if self._v2 else "memory.usage_in_bytes"))
        peak = _number(memory / ("memory.peak" if self._v2 else "memory.max_usage_in_bytes"))
        droppable = _field(memory / "memory.stat", "inactive_file" if self._v2 else "total_inactive_file")
        if self._v2:
            cpu = _field(self._groups["cpuacct"] / "cpu.stat", "usage_usec") / 1e6
        else:
            cpu = (
                _number(self._groups["cpuacct"] / "cpuacct.usage") / 1e9 if "cpuacct" in self._groups else 0.0
            )
        return Consumption(
            memory=max(0, used - droppable),
            peak_memory=max(peak, used),
            cpu=cpu,
            tasks=max(0, _number(pids / "pids.current") - _OWN_TASKS),
        )

    def exceeded(self) -> Exceeded | None:
        """Return the limit that was hit since the last call: a kill for memory, a refused task."""
        kills, refusals = self._count_kills(), self._count_refusals()
        killed, refused = kills > self._kills, refusals > self._refusals
        self._kills, self._refusals = max(kills, self._kills), max(refusals, self._refusals)
        limits = self._limits
        if killed:
            return Exceeded(cause="out-of-memory", used=limits.memory, limit=limits.memory)
        if refused:
            return Exceeded(cause="too-many-processes", used=limits.tasks, limit=limits.tasks)
        return None

    def close(self) -> None:
        """Remove the group; what should still be in it is killed."""
        for group in set(self._groups.values()):
            _remove(group)

    def _bound(self, limits: Limits) -> None:
        memory, pids = self._groups["memory"], self._groups["pids"]
        if self._v2:
            (memory / "memory.max").write_text(str(limits.memory))
            _write_if_there(memory / "memory.swap.max", "0")
        else:
            (memory / "memory.limit_in_bytes").write_text(str(limits.memory))
            _write_if_there(memory / "memory.memsw.limit_in_bytes", str(limits.memory))
        (pids / "pids.max").write_text(str(limits.tasks + _OWN_TASKS))

    def _count_kills(self) -> int:
        file = "memory.events" if self._v2 else "memory.oom_control"
        return _field(self._groups["memory"] / file, "oom_kill")

    def _count_refusals(self) -> int:
        return _field(self._groups["pids"] / "pids.events", "max")

    def _set_frozen(self, frozen: bool) -> bool:
        try:
            if self._v2:
                (self._groups["freezer"] / "cgroup.freeze").write_text("1" if frozen else "0")
            else:
                _write_freezer_state(self._groups["freezer"], "FROZEN" if frozen else "THAWED")
        except OSError:
            return False
        return True

    def _is_frozen(self) -> bool:
        group = self._groups["freezer"]
        if self._v2:
            return _field(group / "cgroup.events", "frozen") == 1
        try:
            return (group / "freezer.state").read_text().strip() == "FROZEN"
        except OSError:
            return True


def remove_orphans(place: Hierarchy) -> None:
    """Kill and remove the groups of engines that are gone, as one that was killed leaves them."""
    for mount in place.mounts:
        for directory, names, _ in os.walk(mount):
            for name in names:
                if hierarchy.is_orphan(name):
                    _remove(Path(directory, name))
            names[:] = [name for name in names if not name.startswith(hierarchy.PREFIX)]


def _remove(group: Path) -> None:
    limit = time.monotonic() + _GONE_SECONDS
    while group.is_dir():
        try:
            group.rmdir()
        except OSError:
            _kill_members(group)
            if time.monotonic() > limit:
                return  # the next engine tries again
            time.sleep(0.002)


def _kill_members(group: Path) -> None:
    with suppress(OSError, ValueError):
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    with suppress(OSError):  # a frozen process takes no signal
        _write_freezer_state(group, "THAWED")
    _write_if_there(group / "cgroup.freeze", "0")


def _write_freezer_state(group: Path, state: str) -> None:
    descriptor = os.open(group / "freezer.state", os.O_WRONLY)
    try:
        os.write(descriptor, state.encode())
    finally:
        os.close(descriptor)


def _write_if_there(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(descriptor, text.encode())
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _field(path: Path, name: str) -> int:
    try:
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return 0
