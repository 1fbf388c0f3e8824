"""What a submission prints: kept in a file, escaped, under a budget for each call."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path

from opencrunch.errors import PlatformError

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LINE_LIMIT = 4096


def escape(text: str) -> str:
    """Return text with every control character but newline and tab shown as an escape."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Log:
    """The log of one run: whole lines, each with the place that it was printed at."""

    def __init__(self, path: Path, *, budget: int, echo: Callable[[str], None] | None = None) -> None:
        self._file = open(path, "a", encoding="utf-8", errors="backslashreplace", newline="\n")  # noqa: SIM115 - lives as long as the run
        self._budget = budget
        self._echo = echo
        self._place = ""
        self._left = budget
        self._line = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def begin(self, place: str) -> None:
        """Start a call's budget; `place` is put before each of its lines."""
        self.finish()
        self._place, self._left = place, self._budget

    def write(self, data: bytes) -> None:
        """Take what came out of the sandbox; beyond the budget it is dropped, with one note."""
        if self._left <= 0:
            return
        lines = (self._line + self._decoder.decode(data)).split("\n")
        self._line = lines.pop()
        for line in lines:
            self._put(line)
        while len(self._line) > LINE_LIMIT:
            self._put(self._line[:LINE_LIMIT])
            self._line = self._line[LINE_LIMIT:]

    def finish(self) -> None:
        """Write what has no newline yet."""
        rest = self._line + self._decoder.decode(b"", final=True)
        self._line = ""
        if rest:
            self._put(rest)
        try:
            self._file.flush()
        except OSError as error:
            raise PlatformError(f"the log cannot be written: {error.strerror}", cause="disk") from error

    def note(self, text: str) -> None:
        """Write a line of the engine's own, marked so that no printed line looks like it."""
        self._write(f"== {escape(text)}")

    def close(self) -> None:
        """Write the rest and close the file."""
        self.finish()
        self._file.close()

    def _put(self, line: str) -> None:
        shown = line.rstrip("\r").rpartition("\r")[2]  # a bar redraws its line: the last state is kept
        text = (f"{self._place} | " if self._place else "| ") + escape(shown)
        if self._left <= 0:
            return
        self._left -= len(text) + 1
        if self._left <= 0:
            text = text[: len(text) + self._left]
        self._write(text)
        if self._left <= 0:
            self.note(f"the log of this call is over its {self._budget:,} bytes; the rest is left out")

    def _write(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
        except OSError as error:
            raise PlatformError(f"the log cannot be written: {error.strerror}", cause="disk") from error
        if self._echo is not None:
            self._echo(line)
