"""The participants' release: what they may know, in files, with a competition file of its own.

It holds the rows of the splits `train` and `local`, sorted as runs see them, nothing of any other row. It is
a competition itself, so that what runs on the full data runs on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opencrunch.competition.file import FILE, RELEASED, Competition
from opencrunch.competition.problems import listed
from opencrunch.competition.toml import write_toml
from opencrunch.errors import PlatformError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from opencrunch.competition.store import Store

MARK = "release.json"
SCHEMA_VERSION = 1


def write_release(competition: Competition, store: Store, out: Path) -> Path:
    """Write the release into a directory that is new, empty or an older release; return it.

    It appears whole or not at all. The same data give the same bytes; what is there already stays untouched.
    """
    out = out.absolute()
    _check_place(competition, out)
    private: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        private = Path(tempfile.mkdtemp(prefix=f".{out.name}.new-", dir=out.parent))
        _write(competition, store, private)
        if not _same(private, out):
            _publish(private, out)
    except OSError as error:
        raise PlatformError(f'the release cannot be written to "{out}": {error}') from error
    finally:
        if private is not None:
            shutil.rmtree(private, ignore_errors=True)
    return out


def _check_place(competition: Competition, out: Path) -> None:
    if out == competition.directory or out in competition.directory.parents:
        raise UsageError(f'"{out}" holds the competition itself; expected a directory of the release\'s own')
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / MARK).is_file()):
        raise UsageError(f'"{out}" is there and no release; expected a new or empty directory')
    if foreign := sorted(set(_files(out)) - {MARK, *_marked(out)}):
        raise UsageError(f'"{out}" has files that are no part of the release: {listed(foreign)}; move them')


def _marked(directory: Path) -> list[str]:
    """Return the files that a release says it has."""
    try:
        return list(json.loads((directory / MARK).read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write(competition: Competition, store: Store, directory: Path) -> None:
    for name, frame in _frames(competition, store):
        _write_parquet(frame, directory / f"{name}.parquet")
    for name in competition.metric_files:
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((competition.directory / name).read_bytes())
    content = _competition_content(competition)
    (directory / FILE).write_text(write_toml(content), encoding="utf-8")
    mark = {
        "schema_version": SCHEMA_VERSION,
        "competition": competition.name,
        "files": {name: _digest(directory / name) for name in _files(directory)},
    }
    (directory / MARK).write_text(json.dumps(mark, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    for position, name in enumerate(frame.columns):
        # texts stay texts, whatever pandas holds them as, though all may be missing in these rows
        if frame[name].dtype == object or pa.types.is_string(table.schema.field(position).type):
            table = table.set_column(position, name, table.column(position).cast(pa.large_string()))
    pq.write_table(table, path)


def _frames(competition: Competition, store: Store) -> Iterator[tuple[str, pd.DataFrame]]:
    known = {table: _categories(competition, store, table) for table in ("X", "y")}
    for split, suffix in (("train", "train"), ("local", "test")):
        if split in competition.splits:
            for table, categories in known.items():
                yield f"{table}_{suffix}", _rows(competition, store, table, split, categories)
    if "local" in competition.splits:
        roles = competition.columns
        example = _rows(competition, store, "X", "local", known["X"])[[roles.moon, roles.id]]
        yield (
            "example_prediction",
            example.assign(**dict.fromkeys((target.output for target in roles.targets.values()), 0.0)),
        )


def _categories(competition: Competition, store: Store, table: str) -> dict[str, list[Any]]:
    """Return the categories, in order, that occur in released rows; all others stay unknown."""
    released = [split for name, split in competition.splits.items() if name in RELEASED]
    found = {}
    for column in store.table(table)["columns"]:
        block = store.table(table)["blocks"][column["block"]]
        if block["kind"] == "category":
            values = [
                store.column(table, column["name"], store.rows(split.first, split.last)) for split in released
            ]
            used = {value for part in values for value in part.tolist()}
            found[column["name"]] = [value for value in block["categories"] if value in used]
    return found


def _rows(
    competition: Competition, store: Store, table: str, split: str, categories: Mapping[str, list[Any]]
) -> pd.DataFrame:
    bounds = competition.splits[split]
    frame = store.frame(table, store.rows(bounds.first, bounds.last), store.column_names(table))
    for name, kept in categories.items():
        frame[name] = frame[name].cat.set_categories(kept)
    return frame


def _competition_content(competition: Competition) -> dict[str, Any]:
    """Return the file without what participants do not have: the splits of hidden data."""
    content = competition.declared.model_dump(exclude_unset=True, mode="json")
    content["splits"] = {
        name: {key: value for key, value in content["splits"][name].items() if key != "continues"}
        for name in RELEASED
        if name in content["splits"]
    }
    suffixes = ["train", *(["test"] if "local" in competition.splits else [])]
    content["data"] = {table: [f"{table}_{suffix}.parquet" for suffix in suffixes] for table in ("X", "y")}
    return content


def _files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _same(private: Path, out: Path) -> bool:
    if not out.is_dir():
        return False
    ours, theirs = _contents(private), _contents(out)
    return ours == theirs


def _contents(directory: Path) -> Mapping[str, str]:
    return {name: _digest(directory / name) for name in _files(directory)}


def _publish(private: Path, out: Path) -> None:
    """Put the new release in the place of the old one, which is taken away whole first."""
    old = private.with_name(private.name.replace(".new-", ".old-"))
    if out.exists():
        os.replace(out, old)
    try:
        os.replace(private, out)
    except OSError:
        if old.exists():
            os.replace(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)
