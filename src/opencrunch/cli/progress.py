"""The face of a run on a terminal: one live line, the submission's output above it; plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from opencrunch.sandbox.port import Usage

_REFRESH = 0.1  # seconds between two drawings of the live line
_BEAT = 30.0  # seconds between two signs of life where there is no terminal


class TerminalFace:
    """Shows a run on a stream (standard error by default)."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._quiet = quiet
        self._started = time.monotonic()
        self._stage = ""
        self._key: int | None = None
        self._function = ""
        self._done = self._total = 0
        self._first_done = 0
        self._running_since = self._started
        self._call_since = self._started
        self._memory = 0
        self._drawn = 0.0
        self._said = self._started
        self._width = 0

    def stage(self, name: str) -> None:
        """Show what is being done now."""
        self._stage, self._key = name, None
        self._running_since = time.monotonic()
        if self._live:
            self._draw(force=True)
        elif not self._quiet:
            self._print(f"[{name}]")

    def progress(self, key: int, function: str, *, done: int, total: int) -> None:
        """Show which call is running."""
        if self._key is None:
            self._first_done = done
        self._key, self._function, self._done, self._total = key, function, done, total
        self._call_since = time.monotonic()
        self._draw(force=function == "train")

    def beat(self, usage: Usage) -> None:
        """Show that a long call lives, with its time and memory."""
        self._memory = usage.memory
        self._draw()
        now = time.monotonic()
        if not self._live and not self._quiet and now - self._said > _BEAT:
            self._said = now
            self._print(self._text())

    def line(self, text: str) -> None:
        """Show a line of the submission's output."""
        if self._quiet:
            return
        self._clear()
        self._print(text)
        self._draw(force=True)

    def close(self) -> None:
        """Take the live line away."""
        self._clear()

    def _text(self) -> str:
        if self._key is None:
            return f"{self._stage} ... {time.monotonic() - self._running_since:.0f} s"
        parts = [f"{self._stage}: moon {self._key} {self._function}", f"{self._done}/{self._total} done"]
        elapsed = time.monotonic() - self._running_since
        finished = self._done - self._first_done
        if finished and elapsed > 0.5:
            rate = finished / elapsed
            parts += [f"{rate:.1f}/s", f"{_duration((self._total - self._done) / rate)} left"]
        call = time.monotonic() - self._call_since
        if call >= 2:
            parts.append(f"this call {_duration(call)}")
        if self._memory:
            parts.append(f"{self._memory / (1 << 20):,.0f} MiB")
        return ", ".join(parts)

    def _draw(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not self._live or self._quiet or (not force and now - self._drawn < _REFRESH):
            return
        import shutil

        self._drawn = now
        text = self._text()[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)

    def _clear(self) -> None:
        if self._live and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except UnicodeEncodeError:
            self._stream.write(text.encode("ascii", "backslashreplace").decode() + "\n")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
