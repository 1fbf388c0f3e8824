"""The directory that a run writes: locked, journalled, and left in a state that says what it is.

<out>/                       the organiser's tree
  record.json  events.jsonl  log.txt
  prediction.parquet         or prediction.partial.parquet where the run did not end well
  resources/                 as the last successful call left it
  participant/               what the participant sees of the same
  work/                      the journal, versions of resources, the submission as it was run
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from opencrunch.errors import UsageError


class Output:
    """One run's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / "work"
        self._lock: FileLock | None = None

    def open(self, *, resume: bool) -> None:
        """Make and lock the directory.

        Raises UsageError where another engine holds it, or it is not empty and the run is not to resume.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"'{self.path}' is a file; --out names a directory")
        used = self.path.is_dir() and any(entry.name != ".lock" for entry in self.path.iterdir())
        if used and not resume:
            raise UsageError(
                f"'{self.path}' is not empty; give --resume to go on with its run, or another --out"
            )
        if used and not self.work.is_dir():
            raise UsageError(f"'{self.path}' holds no run to resume")
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"another run is writing '{self.path}'") from None
        self.work.mkdir(exist_ok=True)
        self.work.chmod(0o700)

    def close(self) -> None:
        """Give the directory free."""
        if self._lock is not None:
            self._lock.release()

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Write a JSON file whole: to a temporary file first, then in one rename."""
        target = self.path / name
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_text(_json(data), encoding="utf-8")
        os.replace(temporary, target)

    def write_parquet(self, name: str, frame: Any) -> None:
        """Write a frame whole, as write_json does."""
        target = self.path / name
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        frame.to_parquet(temporary, index=False)
        os.replace(temporary, target)

    def remove(self, name: str) -> None:
        """Remove a file where it is there."""
        (self.path / name).unlink(missing_ok=True)

    def replace_directory(self, name: str, source: Path) -> None:
        """Put a finished directory in the place of an older one."""
        target = self.path / name
        retired = self.work / "retired"
        shutil.rmtree(retired, ignore_errors=True)
        if target.exists():
            os.replace(target, retired)
        os.replace(source, target)
        shutil.rmtree(retired, ignore_errors=True)

    def share(self, record: Mapping[str, Any], names: tuple[str, ...]) -> None:
        """Make the participant's tree anew: its record, and copies of what is there of the names."""
        fresh = self.work / "participant.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        (fresh / "record.json").write_text(_json(record), encoding="utf-8")
        for name in names:
            source = self.path / name
            if source.is_dir():
                shutil.copytree(source, fresh / name)
            elif source.exists():
                shutil.copy2(source, fresh / name)
        self.replace_directory("participant", fresh)


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, allow_nan=False) + "\n"
