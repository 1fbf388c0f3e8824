"""What is wrong with a competition: found one by one, reported together."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from opencrunch.errors import CompetitionError

NAMED = 10
"""How many values an error names before it only counts."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One broken rule: the file, the key of competition.toml or the column, and what is wrong."""

    file: str
    message: str
    key: str | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.message) if part)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"file": self.file, "key": self.key, "message": self.message}


class Problems(CompetitionError):
    """Everything that is wrong with a competition, at least one problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        if len(problems) == 1:
            super().__init__(first.message, file=first.file, key=first.key)
        else:
            lines = "".join(f"\n  {problem}" for problem in problems)
            super().__init__(f"{len(problems)} problems:{lines}")
            self.file, self.key = first.file, first.key
        self.problems = tuple(problems)


def shown(value: object, limit: int = 80) -> str:
    """Return a value as an error quotes it, on one line, cut where it is long."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a very large integer"  # too long to be written out
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[:limit]}..."


def listed(values: Iterable[object]) -> str:
    """Return values as a list for a message: ten at most, and how many more there are."""
    every = list(values)
    text = ", ".join(shown(value) for value in every[:NAMED])
    return text if len(every) <= NAMED else f"{text} and {len(every) - NAMED:,} more"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return which known word may be meant, or which there are."""
    choices = list(known)
    close = difflib.get_close_matches(word[:200], choices, n=1)
    return f"did you mean {shown(close[0])}?" if close else f"there are: {listed(choices) or 'none'}"
