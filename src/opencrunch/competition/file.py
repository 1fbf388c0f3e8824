"""competition.toml, read and valid: what a competition is.

`load` reports everything that is wrong with the file at once; nothing but CompetitionError escapes it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from opencrunch.competition.problems import Problem, Problems
from opencrunch.competition.rules import broken_rules, problems_of, valid_parts
from opencrunch.competition.schema import (
    GUARDS,
    ColumnsEntry,
    CompetitionEntry,
    LimitsEntry,
    SplitEntry,
    least_processes,
)
from opencrunch.errors import CompetitionError
from opencrunch.metrics import BUILT_IN
from opencrunch.sandbox.port import Guard

FILE = "competition.toml"
RELEASED = ("train", "local")
"""The splits whose data participants have; those of all others are hidden."""

_LARGEST = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Target:
    """A target: its column in y, and its column in a prediction."""

    input: str
    output: str


@dataclass(frozen=True, kw_only=True)
class ColumnRoles:
    """What the columns are: the key, the features by group, the targets in order."""

    moon: str
    id: str
    features: Mapping[str, tuple[str, ...]]
    targets: Mapping[str, Target]

    def resolve(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the features of each group, patterns replaced by those of X's columns that they match."""
        columns = dict.fromkeys(name for name in names if name not in (self.moon, self.id))
        return {
            group: tuple(dict.fromkeys(name for pattern in patterns for name in matching(pattern, columns)))
            for group, patterns in self.features.items()
        }


@dataclass(frozen=True, kw_only=True)
class Split:
    """A range of moons, both ends within it, and what applies to a run on it."""

    first: int
    last: int
    visibility: Literal["all", "scores", "status"]
    guards: tuple[Guard, ...]
    continues: str | None
    hidden: bool


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a run may use: seconds and bytes; `log` for each call."""

    call_time: float
    run_time: float
    memory: int
    disk: int
    processes: int
    log: int
    resources: int
    result: int
    code: int


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: a built-in function or `file.py:function`, and how its values become one."""

    name: str
    function: str
    target: str
    per: Literal["moon", "all"]
    reduce: Literal["mean", "sharpe", "sum"]
    direction: Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True)
class Competition:
    """A competition's directory and what its file says."""

    directory: Path
    name: str
    title: str
    format: str
    python: str | None
    gpu: bool
    embargo: int
    train_frequency: int
    first_train: Literal["if-empty", "always"]
    X: tuple[str, ...]
    y: tuple[str, ...]
    columns: ColumnRoles
    splits: Mapping[str, Split]
    limits: Limits
    metrics: tuple[Metric, ...]
    declared: CompetitionEntry

    @property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """The data files of each table."""
        return {"X": self.X, "y": self.y}

    def execution_digest(self) -> str:
        """Return the SHA-256 of what bears on how submissions are called, nothing else.

        Titles, metrics and visibility may change without any run being done again.
        """
        limits = self.declared.limits.model_dump()  # as written: the defaults may depend on the machine
        return _digest(
            {
                "format": self.format,
                "columns": {
                    **asdict(self.columns),
                    # order matters to submissions, and sorted JSON would lose it
                    "features": [list(item) for item in self.columns.features.items()],
                    "targets": [[name, asdict(target)] for name, target in self.columns.targets.items()],
                },
                "splits": {name: [split.first, split.last] for name, split in self.splits.items()},
                "embargo": self.embargo,
                "train_frequency": self.train_frequency,
                "first_train": self.first_train,
                "limits": limits,
                "python": self.python,
                "gpu": self.gpu,
            }
        )

    def digest(self) -> str:
        """Return the SHA-256 of all that the file says, and of the organiser's own metrics.

        Raises CompetitionError where a metric's file has gone.
        """
        return _digest(
            {
                "file": self.declared.model_dump(mode="json"),
                "execution": self.execution_digest(),
                "metrics": {name: self._file_digest(name) for name in self.metric_files},
            }
        )

    @property
    def metric_files(self) -> tuple[str, ...]:
        """The organiser's files that metrics are in, relative to the directory."""
        own = (metric.function for metric in self.metrics if metric.function not in BUILT_IN)
        return tuple(dict.fromkeys(function.partition(":")[0] for function in own))

    def _file_digest(self, name: str) -> str:
        try:
            return hashlib.sha256((self.directory / name).read_bytes()).hexdigest()
        except OSError as error:
            raise CompetitionError(f"the file cannot be read: {error.strerror}", file=name) from error


def matching(pattern: str, columns: Mapping[str, object]) -> list[str]:
    """Return the columns (keys) that a name or a pattern means; a name that is there is no pattern."""
    if pattern in columns:
        return [pattern]
    return [name for name in columns if fnmatch.fnmatchcase(name, pattern)]


def load(directory: Path) -> Competition:
    """Return the competition of a directory; raises CompetitionError that names all that is wrong."""
    directory = Path(directory)
    content = _parse(_read(directory / FILE))
    try:
        entry = CompetitionEntry.model_validate(content)
    except ValidationError as error:
        raise Problems(
            [*problems_of(error, FILE), *_broken(valid_parts(content, error), directory)]
        ) from None
    if broken := _broken(dict(entry), directory):
        raise Problems(broken)
    return _competition(entry, directory.absolute())


def _broken(parts: Mapping[str, Any], directory: Path) -> list[Problem]:
    return [Problem(file=FILE, key=key, message=text) for key, text in broken_rules(parts, directory)]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise _wrong(
            f'there is no such file in "{path.parent}"; expected the directory of a competition'
        ) from None
    except (OSError, ValueError) as error:
        raise _wrong(f'"{path}" cannot be read: {error}') from error
    if len(data) > _LARGEST:
        raise _wrong(f"the file is larger than {_LARGEST >> 20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong(f"line {line} is not UTF-8 text, which TOML must be") from error


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _wrong("the values are nested too deeply") from None
    except ValueError as error:
        raise _wrong(f"the file is not valid TOML: {error}") from error


def _wrong(message: str) -> Problems:
    return Problems([Problem(file=FILE, message=message)])


def _competition(entry: CompetitionEntry, directory: Path) -> Competition:
    return Competition(
        directory=directory,
        name=entry.name,
        title=entry.title,
        format="cross-sectional",  # "timeseries" is the same format
        python=entry.python,
        gpu=entry.gpu,
        embargo=entry.embargo,
        train_frequency=entry.train_frequency,
        first_train=entry.first_train,
        X=entry.data.X,
        y=entry.data.y,
        columns=_columns(entry.columns),
        splits={name: _split(name, split) for name, split in entry.splits.items()},
        limits=_limits(entry.limits),
        metrics=tuple(_metric(metric.model_dump()) for metric in entry.metrics),
        declared=entry,
    )


def _columns(entry: ColumnsEntry) -> ColumnRoles:
    return ColumnRoles(
        moon=entry.moon,
        id=entry.id,
        features=dict(entry.features),
        targets={
            name: Target(input=target.input or name, output=target.output or name)
            for name, target in entry.targets.items()
        },
    )


def _split(name: str, entry: SplitEntry) -> Split:
    hidden = name not in RELEASED
    guards: tuple[Guard, ...] = GUARDS if hidden else ()
    return Split(
        first=entry.first,
        last=entry.last,
        visibility=entry.visibility or ("status" if hidden else "all"),
        guards=guards if entry.guards is None else entry.guards,
        continues=entry.continues,
        hidden=hidden,
    )


def _limits(entry: LimitsEntry) -> Limits:
    values = entry.model_dump()
    return Limits(**{**values, "processes": entry.processes or least_processes()})


def _metric(values: dict[str, Any]) -> Metric:
    built_in = BUILT_IN.get(values["function"])
    default = built_in.direction if built_in else "maximize"
    return Metric(**{**values, "direction": values["direction"] or default})


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
