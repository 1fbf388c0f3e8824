"""What a run has done, key by key, in a file that survives a kill at any moment.

SQLite in WAL mode: a key is either there with its prediction and its version of resources, or it is not.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opencrunch.errors import PlatformError, UsageError
from opencrunch.resources import Version

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (name TEXT PRIMARY KEY, manifest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (
  key INTEGER PRIMARY KEY,
  prediction BLOB NOT NULL,          -- float64, row-major, rows in the order of the data
  width INTEGER NOT NULL,
  resources_before TEXT NOT NULL,    -- the version that infer started from
  resources_after TEXT NOT NULL,
  calls TEXT NOT NULL                -- JSON: what each call of the key took
);
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One key that was done."""

    key: int
    prediction: np.ndarray[Any, Any]  # (rows, prediction columns)
    resources_before: str
    resources_after: str
    calls: list[dict[str, Any]]


class Journal:
    """The journal of one run."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        try:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise PlatformError(f"the journal '{path}' cannot be read: {error}", cause="journal") from error
        self.path = path

    def identify(self, identity: dict[str, Any]) -> None:
        """Record what the run is a function of; raises UsageError where the journal is another run's."""
        known = self._meta()
        if not known:
            rows = {"schema_version": SCHEMA_VERSION, **identity}
            with self._transaction():
                self._database.executemany(
                    "INSERT INTO meta VALUES (?, ?)",
                    [(name, json.dumps(value)) for name, value in rows.items()],
                )
            return
        if known.get("schema_version") != SCHEMA_VERSION:
            raise UsageError(
                f"'{self.path}' was written with schema {known.get('schema_version')}; this version resumes "
                f"schema {SCHEMA_VERSION}"
            )
        for name, value in identity.items():
            if known.get(name) != json.loads(json.dumps(value)):
                raise self._another(name, known.get(name), value)

    def refuse_another(self, known: Mapping[str, Any]) -> None:
        """Raise UsageError where the journal belongs to a run that differs in what is known already."""
        stored = self._meta()
        for name, value in known.items():
            if name in stored and stored[name] != value:
                raise self._another(name, stored[name], value)

    def _another(self, name: str, stored: Any, value: Any) -> UsageError:
        return UsageError(
            f"'{self.path.parent}' holds another run: its {name.replace('_', ' ')} was {stored!r} and is now "
            f"{value!r}; resume with the same, or choose another --out"
        )

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value that was kept with the run."""
        return self._meta().get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Keep a value with the run."""
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, json.dumps(value)))

    def add(self, entry: Entry, *versions: Version) -> None:
        """Write a key and the versions of resources that it speaks of, all or nothing."""
        with self._transaction():
            for version in versions:
                self._add_version(version)
            self._database.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)",
                (
                    entry.key,
                    np.ascontiguousarray(entry.prediction, "<f8").tobytes(),
                    entry.prediction.shape[1],
                    entry.resources_before,
                    entry.resources_after,
                    json.dumps(entry.calls),
                ),
            )

    def add_version(self, version: Version) -> None:
        """Keep a version's manifest."""
        self._add_version(version)

    def version(self, name: str) -> Version:
        """Return a version by its name."""
        row = self._database.execute("SELECT manifest FROM versions WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise PlatformError(f"the journal '{self.path}' has no resources {name[:12]}", cause="journal")
        return Version.from_json(json.loads(row[0]))

    def entries(self) -> Iterator[Entry]:
        """Yield what was done, by key."""
        query = (
            "SELECT key, prediction, width, resources_before, resources_after, calls FROM keys ORDER BY key"
        )
        with closing(self._database.execute(query)) as rows:
            for key, blob, width, before, after, calls in rows:
                prediction = np.frombuffer(blob, "<f8").reshape(-1, width)
                yield Entry(
                    key=key,
                    prediction=prediction,
                    resources_before=before,
                    resources_after=after,
                    calls=json.loads(calls),
                )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _meta(self) -> dict[str, Any]:
        return {name: json.loads(value) for name, value in self._database.execute("SELECT * FROM meta")}

    def _add_version(self, version: Version) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO versions VALUES (?, ?)", (version.name, json.dumps(version.to_json()))
        )

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database)


class _Transaction:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, *_: object) -> None:
        try:
            self._database.execute("ROLLBACK" if kind else "COMMIT")
        except sqlite3.Error:
            if kind is None:
                raise
        if isinstance(error, sqlite3.OperationalError):
            raise PlatformError(f"the journal cannot be written: {error}", cause="disk") from error
