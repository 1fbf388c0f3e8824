"""The process adapter: no isolation, for debugging and for systems that have none to offer; it says so."""

from __future__ import annotations

import sys

from ..errors import PlatformError
from . import cgroup, local
from .hierarchy import Hierarchy
from .port import Capabilities, Guard, Program, Strength
from .running import Running

_NO_ISOLATION = "the process sandbox does not isolate: it is for one's own code"
_UNSEEN_MEMORY = "without a control group, what lies in the buffers of pipes and sockets is not seen"


class ProcessSandbox:
    """Starts programs as plain processes with bounds."""

    name = "process"

    def capabilities(self) -> Capabilities:
        """Return the few guards that it gives."""
        if sys.platform != "linux":
            return Capabilities(adapter=self.name, available=False, reason=_obstacle())
        bounded = isinstance(cgroup.available(), Hierarchy)
        strength: Strength = "enforced" if bounded else "sampled"
        guards: dict[Guard, Strength] = {
            "environment": "enforced",
            "identity": "enforced",
            "tasks": strength,
            "disk": "sampled",
        }
        if bounded:
            guards["memory"] = guards["kill"] = "enforced"
        others: tuple[Guard, ...] = ("network", "files", "metadata", "processes", "ipc", "kernel", "kill")
        return Capabilities(
            adapter=self.name,
            available=True,
            guards=guards,
            absent={
                **({} if bounded else {"memory": _UNSEEN_MEMORY}),
                **{guard: _NO_ISOLATION for guard in others if guard not in guards},
            },
        )

    def start(self, program: Program) -> Running:
        """Start a program.

        Raises PlatformError when it cannot be started.
        """
        if sys.platform != "linux":
            raise PlatformError(_obstacle(), cause="start")
        return local.start(program, lambda home: local.Confinement())


def _obstacle() -> str:
    return f"programs cannot be started on '{sys.platform}' yet; Linux is needed"
