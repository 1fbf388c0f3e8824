"""The digest of a data file, remembered for as long as the file stays as it is."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

from opencrunch.competition.problems import Problem, Problems

_SETTLED = 2_000_000_000  # ns: a file that is younger may still change within the clock's grain


class Fingerprints:
    """What is known of files, one small JSON for each, in a directory."""

    def __init__(self, directory: Path) -> None:
        """Take the directory; it is made when there is something to remember."""
        self.directory = directory

    def digest(self, root: Path, name: str, *, key: str) -> str:
        """Return the SHA-256 of a file's content; raises CompetitionError where it cannot be read."""
        path = root / name
        try:
            stat = os.stat(path)
            identity = _identity(path, stat)
            note = self.directory / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"
            remembered = _recall(note, identity)
            if remembered is not None:
                return remembered
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            unchanged = _identity(path, os.stat(path)) == identity
        except FileNotFoundError:
            message = f'there is no such file in "{root}"'
            raise Problems([Problem(file=name, key=key, message=message)]) from None
        except (OSError, ValueError) as error:
            message = f"the file cannot be read: {error}"
            raise Problems([Problem(file=name, key=key, message=message)]) from error
        if unchanged and time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED:
            self._remember(note, identity, found)
        return found

    def _remember(self, note: Path, identity: list[object], digest: str) -> None:
        try:
            self.directory.mkdir(exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self.directory)
            with os.fdopen(descriptor, "w") as file:
                json.dump({"identity": identity, "digest": digest}, file)
            os.replace(temporary, note)
        except OSError:
            pass  # a cache that cannot be written only costs time


def _identity(path: Path, stat: os.stat_result) -> list[object]:
    return [str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]


def _recall(note: Path, identity: list[object]) -> str | None:
    try:
        content = json.loads(note.read_bytes())
        return str(content["digest"]) if content["identity"] == identity else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
