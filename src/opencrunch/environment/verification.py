"""Whether a finished environment imports what every run needs, tried in a sandbox before it is published."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from ..errors import DependencyError, PlatformError
from ..sandbox.port import Mount, Sandbox
from .chamber import Ending, converse, source_of
from .interpreter import Interpreter

SECONDS = 300.0
LONGEST_REPORT = 1 << 16
_ENVIRONMENT = "/environment"
_CRUNCH = "/platform/crunch"


class Unimportable(DependencyError):
    """A distribution installs but cannot be imported; `step` is the module at fault."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step} is installed but cannot be used: {reason}")
        self.step = step


def verify(site_packages: Path, interpreter: Interpreter, sandbox: Sandbox) -> None:
    """Import crunch, numpy, pandas and pyarrow in a sandbox; raises Unimportable for the first that fails."""
    report = _Report()
    ending = converse(
        sandbox,
        source_of("checking"),
        interpreter,
        (Mount(source=site_packages, target=_ENVIRONMENT), Mount(source=_crunch(), target=_CRUNCH)),
        lambda process: {"site_packages": process.inside(_ENVIRONMENT), "crunch": process.inside(_CRUNCH)},
        report.consume,
        seconds=SECONDS,
    )
    if report.failed is not None:
        raise Unimportable(report.failed, report.error)
    if not ending.finished or report.done != len(_STEPS):
        _refuse(report.current, ending)


_STEPS = ("crunch", "numpy", "pandas", "pyarrow", "pyarrow with pandas")


def _refuse(step: str | None, ending: Ending) -> None:
    if ending.timed_out:
        reason = f"it took longer than {SECONDS:.0f} s"
    else:
        reason = f"the process ended with status {ending.status}: {ending.output.strip()[-1000:]}"
    if step is None or step == "crunch":
        raise PlatformError(f"a new environment could not be checked in the sandbox: {reason}")
    raise Unimportable(step, reason)


def _crunch() -> Path:
    spec = importlib.util.find_spec("crunch")
    if spec is None or spec.origin is None:
        raise PlatformError("the package crunch is not installed beside opencrunch: install opencrunch again")
    return Path(spec.origin).resolve().parent


class _Report:
    """Takes the lines of the program that checks."""

    def __init__(self) -> None:
        self.current: str | None = None
        self.failed: str | None = None
        self.error = ""
        self.done = 0
        self._size = 0

    def consume(self, buffer: bytearray) -> bool:
        """Read the lines that are complete in a buffer; return whether no more come."""
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            self._size += len(line)
            if self._size > LONGEST_REPORT or self._take(line):
                return True
        return len(buffer) > LONGEST_REPORT

    def _take(self, line: bytes) -> bool:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return True
        if not isinstance(message, dict):
            return True
        if message.get("start") in _STEPS:
            self.current = message["start"]
        if message.get("failed") in _STEPS:
            self.failed = message["failed"]
            self.error = "".join(c if c.isprintable() else " " for c in str(message.get("error", ""))[:2000])
        self.done += message.get("done") in _STEPS
        return message.get("finished") is True
