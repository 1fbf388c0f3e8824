"""What happens during a run: one JSON object a line in events.jsonl, and a face that shows it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Protocol

from opencrunch.sandbox.port import Usage

SCHEMA_VERSION = 1


class Face(Protocol):
    """Who watches a run: a terminal, a notebook, or nobody."""

    def stage(self, name: str) -> None:
        """Tell what is being done now: environment, data, sandbox, running, determinism, scores."""
        ...

    def progress(self, key: int, function: str, *, done: int, total: int) -> None:
        """Tell which call is running."""
        ...

    def beat(self, usage: Usage) -> None:
        """Give a sign of life inside a long call, several times a second."""
        ...

    def line(self, text: str) -> None:
        """Show a line of the log; it is escaped already."""
        ...


class Silent:
    """A face that shows nothing."""

    def stage(self, name: str) -> None:
        """Show nothing."""

    def progress(self, key: int, function: str, *, done: int, total: int) -> None:
        """Show nothing."""

    def beat(self, usage: Usage) -> None:
        """Show nothing."""

    def line(self, text: str) -> None:
        """Show nothing."""


class Events:
    """The event file of one run."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - lives as long as the run

    def write(self, event: str, **fields: Any) -> None:
        """Append one event, whole, with the time in seconds since the epoch."""
        row = {"schema_version": SCHEMA_VERSION, "time": time.time(), "event": event, **fields}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
