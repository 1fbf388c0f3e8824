"""A look at the template process from outside: whether its import left a channel between later calls."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from opencrunch.sandbox.port import Process


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What a process holds that its forks would share."""

    shared: frozenset[str]
    descriptors: frozenset[str]


def look(pid: int) -> Traces:
    """Return a process's shared mappings and the descriptors that reach other processes."""
    return Traces(shared=_shared_mappings(pid), descriptors=_descriptors(pid))


def leftovers(process: Process, template: int, before: Traces) -> str | None:
    """Return what the import left behind by which calls could pass notes, None where nothing is."""
    others = [pid for pid in process.tree() if pid != template]
    if others:
        return f"the import left {len(others)} process(es) running"
    try:
        now = look(template)
    except (OSError, KeyError, IndexError):
        return "the process that imported the submission cannot be looked at"
    if now.shared - before.shared:
        return "the import left a shared mapping"
    if opened := sorted(now.descriptors - before.descriptors):
        return f"the import left open descriptors ({', '.join(opened[:3])})"
    return None


def _shared_mappings(pid: int) -> frozenset[str]:
    """Return the writable shared mappings; a semaphore's page is left out, for every progress bar has one."""
    found = set()
    for line in Path(f"/proc/{pid}/maps").read_text("utf-8", "replace").splitlines():
        fields = line.split(maxsplit=5)
        name = fields[5] if len(fields) > 5 else ""
        if fields[1][3] == "s" and "w" in fields[1] and not name.startswith("/dev/shm/sem."):
            found.add(f"{fields[0]} {name}")
    return frozenset(found)


def _descriptors(pid: int) -> frozenset[str]:
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            flags = Path(f"/proc/{pid}/fdinfo/{name}").read_text().split("flags:", 1)[1].split()[0]
        except (OSError, IndexError):
            continue
        read_only = int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
        if target.startswith("/") and not target.startswith("/memfd:") and read_only:
            continue  # a file opened for reading: its content is the same for every call
        if target in ("/dev/null", "/dev/urandom", "/dev/zero"):
            continue
        found.add(target)
    return frozenset(found)
