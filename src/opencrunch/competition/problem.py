"""What is wrong with a competition: one problem for each broken rule, reported together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from opencrunch.errors import CompetitionError

FILE = "competition.toml"
SHOWN = 10
_LENGTH = 80


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A rule that is broken: in which file, at which key, and what to do."""

    message: str
    file: str = FILE
    key: str | None = None

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, self.key) if part)
        return f"{place}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"file": self.file, "key": self.key, "message": self.message}


class InvalidCompetition(CompetitionError):
    """A competition breaks rules; `problems` has every one that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Take at least one problem."""
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            problem = self.problems[0]
            super().__init__(problem.message, file=problem.file, key=problem.key)
        else:
            listed = "".join(f"\n  {problem}" for problem in self.problems)
            super().__init__(f"the competition has {len(self.problems)} problems:{listed}")
            self.file = self.problems[0].file


def did_you_mean(name: str, known: Iterable[str], *, what: str = "there are") -> str:
    """Return "; did you mean ...?" with the closest name, else the names that there are."""
    names = list(known)
    # Comparing is quadratic in the length, and both come from files.
    close = difflib.get_close_matches(name[:200], [other[:200] for other in names[:5000]], n=1)
    if close:
        return f"; did you mean {quote(close[0])}?"
    return f"; {what}: {listed(names)}" if names else ""


def listed(names: Iterable[object], limit: int = SHOWN) -> str:
    """Return names in quotes, at most `limit`, and how many more there are."""
    every = list(names)
    shown = ", ".join(quote(name) for name in every[:limit])
    return f"{shown} and {len(every) - limit:,} more" if len(every) > limit else shown


def quote(value: object) -> str:
    """Return a value as it is shown in a message: short, on one line, text in double quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value if len(value) <= _LENGTH else f"{value[: _LENGTH - 3]}..."
        plain = "".join(letter if letter.isprintable() else _escape(letter) for letter in text)
        return f'"{plain}"'
    if isinstance(value, int):
        # Python refuses to print integers of thousands of digits, which TOML may hold in hexadecimal.
        return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"
    if isinstance(value, float | date | time):
        return str(value)
    kinds = {list: "a list", dict: "a table"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def _escape(letter: str) -> str:
    return (
        letter.encode("unicode_escape").decode("ascii") if not "\ud800" <= letter <= "\udfff" else "\\ufffd"
    )
