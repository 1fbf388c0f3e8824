"""From the organiser's files to the prepared store: built once, found again by a look-up."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from opencrunch.competition.fingerprint import Fingerprints
from opencrunch.competition.problems import Problems
from opencrunch.competition.store import SCHEMA_VERSION, Store, open_store
from opencrunch.errors import PlatformError
from opencrunch.settings import cache_directory

if TYPE_CHECKING:
    from opencrunch.competition.file import Competition

BUILD_VERSION = 1  # raised when the same files would give another store


def prepare(competition: Competition, cache: Path) -> Store:
    """Return the store of a competition's data, built below `cache/stores` if it is not there yet.

    Raises CompetitionError that names every rule that the data break, PlatformError where
    it cannot be written.
    """
    from filelock import FileLock

    stores = cache / "stores"
    try:
        make_public(stores)
        key = _key(competition, stores)
        store = _find(stores / key)
        if store is None:
            with FileLock(stores / f".{key}.lock"):
                store = _find(stores / key) or _build(competition, stores / key)
    except OSError as error:
        raise PlatformError(f'the prepared data cannot be written below "{stores}": {error}') from error
    _check(competition, store)
    return store


def release(competition: Competition, out: Path, cache: Path | None = None) -> Path:
    """Write the participants' release into `out`, from the prepared store; return its directory.

    Raises CompetitionError where the data break a rule, UsageError where `out` holds something else.
    """
    from opencrunch.competition.release import write_release

    return write_release(competition, prepare(competition, cache or cache_directory()), out)


def make_public(directory: Path) -> None:
    """Make a directory and its missing parents such that a sandbox's user can pass."""
    if directory.is_dir():
        return
    make_public(directory.parent)
    try:
        directory.mkdir()
    except FileExistsError:
        return
    directory.chmod(0o755)


def _key(competition: Competition, stores: Path) -> str:
    """Return the name of the store: a digest of the files and of what the file says of their columns."""
    known = Fingerprints(stores / ".files")
    roles = competition.columns
    content = {
        "version": [SCHEMA_VERSION, BUILD_VERSION],
        "files": {
            table: [
                [Path(name).suffix.lower(), known.digest(competition.directory, name, key=f"data.{table}")]
                for name in names
            ]
            for table, names in competition.tables.items()
        },
        "moon": roles.moon,
        "id": roles.id,
        "targets": sorted({target.input for target in roles.targets.values()}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _find(path: Path) -> Store | None:
    if not path.is_dir():
        return None
    try:
        return open_store(path)
    except PlatformError:  # a crash of the machine left it short: it is built again
        return None


def _build(competition: Competition, path: Path) -> Store:
    """Write the store into a private directory and publish it whole; the caller holds the lock."""
    from opencrunch.competition.blocks import write_store
    from opencrunch.competition.check import examine

    examined = examine(competition)
    for leftover in path.parent.glob(f".{path.name}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    private = Path(tempfile.mkdtemp(prefix=f".{path.name}.new-", dir=path.parent))
    try:
        write_store(competition, examined, private)
        for file in private.iterdir():
            file.chmod(0o644)
        private.chmod(0o755)
        if path.exists():
            os.replace(path, private.with_name(private.name + "-damaged"))
        os.replace(private, path)
    finally:
        shutil.rmtree(private, ignore_errors=True)
        shutil.rmtree(private.with_name(private.name + "-damaged"), ignore_errors=True)
    return open_store(path)


def _check(competition: Competition, store: Store) -> None:
    """Check what the store's name does not depend on: groups of features and splits may change alone."""
    from opencrunch.competition.coverage import feature_problems, split_problems

    problems = [
        *feature_problems(competition, store.column_names("X")),
        *split_problems(competition, store.moons),
    ]
    if problems:
        raise Problems(problems)
