"""The lock: every distribution of an environment at one version, with the hashes of its wheels."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .interpreter import Interpreter
from .layout import Layout, write_atomically
from .requirements import Requirements

SCHEMA_VERSION = 1

# What the runner works with; a participant's own pins are only ever made narrower by them.
ADDITIONS = ("numpy>=1.24", "pandas>=2.1", "pyarrow>=12")

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A resolved set: its text, what was asked for it, and the environment that came of it."""

    key: str  # of what was asked
    text: str
    python: str  # "3.11.7"
    environment: str  # digest of the environment that it makes
    additions: tuple[str, ...]  # what the platform added, bounds included that checking made necessary

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the lock's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def packages(self) -> dict[str, str]:
        """Return the version of each distribution, by normalised name."""
        return {name.lower(): version for name, version in _PINNED.findall(self.text)}


def question(requirements: Requirements, interpreter: Interpreter) -> str:
    """Return the name of what is asked: equal requirements on equal Pythons have one answer."""
    return _hash(
        {
            "schema_version": SCHEMA_VERSION,
            "requirements": list(requirements.lines),
            "additions": list(ADDITIONS),
            "python": [interpreter.implementation, interpreter.version],
            "platform": interpreter.platform,
        }
    )


def environment_digest(text: str, interpreter: Interpreter) -> str:
    """Return the name of the environment that a lock makes with an interpreter."""
    return _hash(
        {
            "schema_version": SCHEMA_VERSION,
            "lock": hashlib.sha256(text.encode()).hexdigest(),
            "python": [interpreter.implementation, interpreter.version],
            "platform": interpreter.platform,
        }
    )


def make_lock(key: str, text: str, interpreter: Interpreter, additions: tuple[str, ...]) -> Lock:
    """Return a lock for a text that the resolver gave."""
    text = "".join(sorted(_blocks(text)))
    digest = environment_digest(text, interpreter)
    return Lock(key=key, text=text, python=interpreter.version, environment=digest, additions=additions)


def load_lock(key: str, layout: Layout) -> Lock | None:
    """Return what was resolved before for a question, None where nothing usable is kept."""
    try:
        data: Any = json.loads(_path(key, layout).read_bytes())
        if data["schema_version"] != SCHEMA_VERSION or data["key"] != key:
            return None
        return Lock(
            key=key,
            text=data["lock"],
            python=data["python"],
            environment=data["environment"],
            additions=tuple(data["additions"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_lock(lock: Lock, layout: Layout) -> None:
    """Keep a lock whose environment was built and checked."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "key": lock.key,
        "python": lock.python,
        "environment": lock.environment,
        "additions": list(lock.additions),
        "lock": lock.text,
    }
    write_atomically(_path(lock.key, layout), json.dumps(data, indent=1).encode())


def load_other_python(key: str, layout: Layout) -> str | None:
    """Return the other Python for which alone a question could be answered, None where that is not known."""
    try:
        data: Any = json.loads(_path(f"{key}.python", layout).read_bytes())
        return str(data["python"]) if data["schema_version"] == SCHEMA_VERSION else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_other_python(key: str, python: str, layout: Layout) -> None:
    """Keep the other Python for which a question was answered."""
    data = {"schema_version": SCHEMA_VERSION, "key": key, "python": python}
    write_atomically(_path(f"{key}.python", layout), json.dumps(data, indent=1).encode())


def _blocks(text: str) -> list[str]:
    """Return each distribution's lines of a lock."""
    return [
        block for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE) if _PINNED.match(block)
    ]


def _path(key: str, layout: Layout) -> Path:
    return layout.locks / f"{key}.json"


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
