"""A start without any guard, for controls: what an attack does there shows that it works."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Protocol

from opencrunch.sandbox.identity import engine_is_root
from opencrunch.sandbox.port import Exceeded

from .target import Target


class Running(Protocol):
    """What attacks need of a started program; every Process of the sandbox port is one."""

    @property
    def control(self) -> socket.socket:
        """The stream socket to the program."""
        ...

    @property
    def output(self) -> int:
        """The descriptor of its output."""
        ...

    def inside(self, mount: str) -> str:
        """Return where the program sees a mount."""
        ...

    def outside(self, path: str) -> Path:
        """Return where the engine sees a directory of the program."""
        ...

    def tree(self) -> tuple[int, ...]:
        """Return the host pids of its processes, oldest first."""
        ...

    def sweep(self, keep: tuple[int, ...]) -> bool:
        """Kill all its processes but some."""
        ...

    def exceeded(self) -> Exceeded | None:
        """Return the limit that was hit."""
        ...

    def returncode(self) -> int | None:
        """Return how the first process ended."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...


def processes_of(mark: bytes) -> list[int]:
    """Return the host pids of living processes whose command line starts so."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                if file.read(len(mark)) == mark:
                    found.append(int(name))
    return found


class PlainProcess:
    """A program started as programs usually are: all descriptors and variables, no limit, a log file."""

    def __init__(self, argv: list[str], mark: bytes, target: Target, *, as_root: bool) -> None:
        self._mark = mark
        self._target = target
        self._scratch = target.scratch()
        self.control, theirs = socket.socketpair()
        log = self._scratch.with_suffix(".log")
        self.output = os.open(log, os.O_CREAT | os.O_RDONLY, 0o666)
        os.chmod(log, 0o666)
        other = engine_is_root() and not as_root
        with theirs, open(log, "wb") as stream:
            theirs.set_inheritable(True)
            self._process = subprocess.Popen(
                [part.replace("{control}", str(theirs.fileno())) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                close_fds=False,
                cwd=self._scratch,
                user=target.user if other else None,
                group=target.group if other else None,
                extra_groups=[] if other else None,
                start_new_session=True,
            )

    def inside(self, mount: str) -> str:
        """Return the host directory that stands for a mount."""
        return str(self._target.mount)

    def outside(self, path: str) -> Path:
        """Return the working directory."""
        return self._scratch

    def tree(self) -> tuple[int, ...]:
        """Return the processes that carry the program's command line."""
        return tuple(sorted(processes_of(self._mark)))

    def sweep(self, keep: tuple[int, ...]) -> bool:
        """Kill the children, as a parent that knows of no others does."""
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{self._process.pid}/task/{self._process.pid}/children") as file,
        ):
            for pid in file.read().split():
                os.kill(int(pid), signal.SIGTERM)
        return True

    def exceeded(self) -> Exceeded | None:
        """Return None: there are no limits."""
        return None

    def returncode(self) -> int | None:
        """Return how the first process ended."""
        return self._process.poll()

    def kill(self) -> None:
        """End the first process, as a parent that knows of no others does; then remove its directory."""
        import shutil

        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.3)
        shutil.rmtree(self._scratch)

    def clean(self) -> None:
        """End every process that the program has left."""
        deadline = time.monotonic() + 20
        unseen = 0
        while unseen < 10 and time.monotonic() < deadline:  # one look can miss a process that runs away
            left = processes_of(self._mark)
            unseen = 0 if left else unseen + 1
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
        self._process.wait()
        self.control.close()
        os.close(self.output)
        subprocess.run(["rm", "-rf", "--", str(self._scratch)], check=False, stderr=subprocess.DEVNULL)
