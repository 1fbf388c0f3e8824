"""Where control groups can be made on this machine: version 1 or 2, mounted and writable."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import processes

CONTROLLERS = ("memory", "pids", "freezer", "cpuacct")
NEEDED = ("memory", "pids")
PREFIX = "opencrunch-"


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """The directories below which groups are made: one for each controller (v1), or one for all (v2)."""

    version: int
    parents: Mapping[str, Path]
    mounts: frozenset[Path]  # where the hierarchies begin; other engines may have parents of their own

    @property
    def directories(self) -> tuple[Path, ...]:
        """The parents, each once."""
        return tuple(dict.fromkeys(self.parents.values()))


def group_name(count: int) -> str:
    """Return a name that tells which engine made the group: its pid, its start, where that pid counts."""
    pid = os.getpid()
    found = processes.stat(pid)
    return f"{PREFIX}{pid}-{found.start if found else 0}-{_pid_namespace()}-{count}"


def is_orphan(name: str) -> bool:
    """Return whether the engine that made a group (or a directory) of this name has gone.

    Of an engine in another container nothing can be told, so it counts as running.
    """
    pid, start, namespace, *_ = (*name.removeprefix(PREFIX).split("-"), "", "", "")
    if not name.startswith(PREFIX) or not pid.isdigit() or not start.isdigit():
        return False
    if namespace != _pid_namespace():
        return False
    found = processes.stat(int(pid))
    return found is None or found.zombie or found.start != int(start)


def _pid_namespace() -> str:
    return str(os.stat("/proc/self/ns/pid").st_ino)


def find() -> Hierarchy | str:
    """Return where groups can be made, or why they cannot."""
    reasons = []
    for candidate in _candidates():
        reason = _obstacle(candidate)
        if reason is None:
            return candidate
        reasons.append(reason)
    return reasons[0] if reasons else "no control groups are mounted"


def _candidates() -> Iterator[Hierarchy]:
    own = _own_groups()
    legacy: dict[str, Path] = {}
    unified: list[tuple[Path, Path]] = []
    points: set[Path] = set()
    for root, point, kind, options in _mounts():
        if kind == "cgroup":
            for name in set(CONTROLLERS) & set(options):
                legacy[name] = _own_directory(point, root, own.get(name, "/"))
                points.add(point)
        elif kind == "cgroup2":
            here = _own_directory(point, root, own.get("", "/"))
            unified += [(point, here), *([(point, here.parent)] if here != point else [])]
    if all(name in legacy for name in NEEDED):
        yield Hierarchy(version=1, parents=legacy, mounts=frozenset(points))
    for point, directory in unified:
        parents = dict.fromkeys(CONTROLLERS, directory)
        yield Hierarchy(version=2, parents=parents, mounts=frozenset({point}))


def _mounts() -> Iterator[tuple[str, Path, str, list[str]]]:
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            fields, rest = before.split(), after.split()
            yield fields[3], Path(fields[4]), rest[0], rest[-1].split(",")


def _own_groups() -> dict[str, str]:
    own: dict[str, str] = {}
    with suppress(OSError), open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            own.update(dict.fromkeys(controllers.split(","), path))
    return own


def _own_directory(point: Path, root: str, path: str) -> Path:
    """Return the engine's own group below a mount; in a container the mount's root may be that group."""
    inner = path.removeprefix(root) if root != "/" and path.startswith(root) else path
    directory = point / inner.strip("/")
    return directory if directory.is_dir() else point


def _obstacle(hierarchy: Hierarchy) -> str | None:
    """Return why no bounded group can be made there, None after having made and removed one."""
    made: list[Path] = []
    try:
        for directory in hierarchy.directories:
            if hierarchy.version == 2:
                _delegate(directory)
            group = directory / group_name(0)
            group.mkdir(exist_ok=True)
            made.append(group)
        limit = "memory.limit_in_bytes" if hierarchy.version == 1 else "memory.max"
        for controller, file in (("memory", limit), ("pids", "pids.max")):
            path = hierarchy.parents[controller] / group_name(0) / file
            if not os.access(path, os.W_OK):
                return f"the controller '{controller}' is not available in '{path.parent.parent}'"
    except OSError as error:
        return f"no control group can be made in '{error.filename}': {error.strerror}"
    finally:
        for group in made:
            with suppress(OSError):
                group.rmdir()
    return None


def _delegate(directory: Path) -> None:
    """Give memory and pids to the groups below a v2 group, where that is not done yet."""
    control = directory / "cgroup.subtree_control"
    if missing := set(NEEDED) - set(control.read_text().split()):
        control.write_text(" ".join(f"+{name}" for name in sorted(missing)))
