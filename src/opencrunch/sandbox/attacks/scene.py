"""One run of an attack: the program is started, told its aims, heard, and seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from dataclasses import dataclass, field

from .attack import Attack
from .plain import Running, processes_of
from .target import MOUNT, Target

_START = 20.0  # seconds until the interpreter is there
_TICK = 0.05
_OUTPUT = 2000  # bytes of output kept, to say why a script failed


class Ended(Exception):
    """The program is gone, or a limit of the sandbox was hit; carries the word for it."""


@dataclass(kw_only=True)
class Scene:
    """A started attack."""

    attack: Attack
    running: Running
    target: Target
    mark: bytes  # how the command lines of its processes start
    guarded: bool
    workspace: str
    variables: tuple[str, ...]
    output: bytearray = field(default_factory=bytearray)
    first: int = 0
    _received: bytearray = field(default_factory=bytearray)

    def processes(self) -> list[int]:
        """Return the host pids of the attack's processes, wherever they have gone."""
        return processes_of(self.mark)

    def users_of(self, pid: int) -> set[int]:
        """Return the host uids of a process: real, effective, saved and for files."""
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("Uid:"):
                    return {int(number) for number in line.split()[1:]}
        return set()

    def play(self) -> str:
        """Let the attack happen and return its word, completed by what is seen from outside."""
        try:
            self._line(_START)
            self.first = self.running.tree()[0]
            self.running.control.sendall(json.dumps(self._given()).encode() + b"\n")
            word = str(json.loads(self._line(self.attack.timeout))["word"])
        except Ended as ended:
            return str(ended)
        except (OSError, ValueError, IndexError, KeyError) as error:
            return f"error: {type(error).__name__}: {error}"
        if self.attack.look is not None:
            word = self.attack.look(self, word)
        return word

    def _given(self) -> dict[str, object]:
        limits = self.attack.limits
        stand_ins = dict.fromkeys(self.target.stand_ins) if self.guarded else self.target.stand_ins
        return {
            **self.target.given,
            **stand_ins,
            "guarded": self.guarded,
            "mount": self.running.inside(MOUNT),
            "temporary": "/tmp" if self.guarded else str(self.running.outside("/tmp")),
            "variables": self.variables,
            "memory": limits.memory,
            "disk": limits.disk,
            "descriptors": limits.descriptors,
            "many": 5 * limits.tasks,
        }

    def _line(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            if time.monotonic() > deadline:
                raise Ended("error: no word in time")
            self._wait()
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received[:] = rest
        return line

    def _wait(self) -> None:
        """Take what comes within a moment."""
        control = self.running.control
        ready, _, _ = select.select([control.fileno(), self.running.output], [], [], _TICK)
        if self.running.output in ready:
            self._take_output()
        if control.fileno() in ready:
            with contextlib.suppress(ConnectionResetError):
                if data := control.recv(4096):
                    self._received += data
                    return
            raise Ended(self._end())
        if evidence := self.running.exceeded():
            raise Ended(evidence.cause)

    def _take_output(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.running.output, 1 << 16)
            self.output += data[: _OUTPUT - len(self.output)]
            if not data:
                time.sleep(0.01)  # the end of a file, which is always readable

    def _end(self) -> str:
        """Return the word for a program that has gone."""
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if evidence := self.running.exceeded():
                return evidence.cause
            if (code := self.running.returncode()) is not None:
                break
            time.sleep(0.02)
        else:
            return "error: no answer"
        if evidence := self.running.exceeded():
            return evidence.cause
        if code < 0:
            return signal.Signals(-code).name
        return f"error: exit {code}"
