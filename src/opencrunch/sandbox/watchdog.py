"""A thread that samples a process tree's memory and tasks where no control group bounds them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from . import processes
from .bounds import Consumption
from .port import Exceeded, Limits, Strength

PERIOD = 0.05  # seconds between two looks
_FREE_SOCKETS = 16
# net.core.wmem_default as kernels have it, and a last message over it; the filter lets nobody ask for more
_SOCKET_BUFFER = 212_992 + 65_536


class Watchdog:
    """Kills a tree that uses more than its limits; between two looks it may use more."""

    strength: Strength = "sampled"

    def __init__(
        self,
        limits: Limits,
        *,
        members: Callable[[], Collection[int]],
        files: Callable[[], int],
        kill: Callable[[], None],
    ) -> None:
        """Take `files`, the bytes in the sandbox's memory file systems (0 where those lie on a disk)."""
        self._limits = limits
        self._members = members
        self._files = files
        self._kill = kill
        self._peak = 0
        self._cpu = 0.0
        self._evidence: Exceeded | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="opencrunch-watchdog", daemon=True)

    def enter(self, pid: int) -> None:
        """Begin to watch."""
        if not self._thread.is_alive():
            self._thread.start()

    def members(self) -> None:
        """Return None: a watchdog keeps no list of its own."""
        return

    def freeze(self) -> bool:
        """Return False: signals stop processes only one by one."""
        return False

    def thaw(self) -> None:
        """Nothing was frozen."""

    def consumption(self) -> Consumption:
        """Return what a look at the tree shows now."""
        pids = self._members()
        stats = [found for pid in pids if (found := processes.stat(pid)) is not None]
        self._cpu = max(self._cpu, sum(found.cpu for found in stats))
        memory = self._files() + sum(map(processes.proportional, pids))
        self._peak = max(self._peak, memory)
        return Consumption(memory=memory, peak_memory=self._peak, cpu=self._cpu, tasks=_tasks(pids))

    def exceeded(self) -> Exceeded | None:
        """Return the limit that was hit since the last call."""
        evidence, self._evidence = self._evidence, None
        return evidence

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _watch(self) -> None:
        while not self._stop.wait(PERIOD):
            try:
                evidence = self._look()
            except OSError:
                continue
            if evidence is not None:
                self._evidence = evidence
                self._kill()

    def _look(self) -> Exceeded | None:
        pids, limits = self._members(), self._limits
        hidden = self._files() + _in_sockets(pids)
        # Resident memory counts shared pages once for each process, so it only tells when to look closer.
        if hidden + sum(map(processes.resident, pids)) > limits.memory:
            used = hidden + sum(map(processes.proportional, pids))
            self._peak = max(self._peak, used)
            if used > limits.memory:
                return Exceeded(cause="out-of-memory", used=used, limit=limits.memory)
        tasks = _tasks(pids)
        if tasks > limits.tasks:
            return Exceeded(cause="too-many-processes", used=tasks, limit=limits.tasks)
        return None


def _in_sockets(pids: Collection[int]) -> int:
    """Return the most that the kernel may hold in the buffers of sockets; nothing shows how much it is."""
    sockets = {inode for pid in pids for inode in processes.sockets(pid)}
    return max(0, len(sockets) - _FREE_SOCKETS) * _SOCKET_BUFFER


def _tasks(pids: Collection[int]) -> int:
    return sum(map(processes.threads, pids))
