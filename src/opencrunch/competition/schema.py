"""The form of competition.toml: every key, its type and its default."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from opencrunch.competition.quantities import parse_size, parse_time
from opencrunch.sandbox.port import Guard

MOON_LIMIT = 1 << 62
GUARDS: tuple[Guard, ...] = get_args(Guard)


def _matching(pattern: str, expected: str) -> AfterValidator:
    """Return a check of a whole text."""
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


def _guards(value: object) -> object:
    if value == "all":
        return GUARDS
    if not isinstance(value, list) or any(name not in GUARDS for name in value):
        raise ValueError(f'expected "all" or a list of these: {", ".join(GUARDS)}')
    return tuple(name for name in GUARDS if name in value)


def _readable(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 200:
        raise ValueError("expected a text of 1 to 200 printable characters")
    return text


def _path(text: str) -> str:
    parts = text.replace("\\", "/").split("/")
    if not text or text.startswith("/") or ".." in parts or not text.isprintable() or len(text) > 1000:
        raise ValueError("expected a path relative to the competition's directory, without '..'")
    return text


def _identifier(text: str) -> str:
    if not text.isidentifier() or text.startswith("_") or len(text) > 100:
        raise ValueError("expected a Python identifier that does not start with '_', for parameters bear it")
    return text


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


Readable = Annotated[StrictStr, AfterValidator(_readable)]
Identifier = Annotated[StrictStr, AfterValidator(_identifier)]
Slug = Annotated[
    StrictStr, _matching(r"[a-z0-9][a-z0-9_-]{0,63}", "up to 64 of a-z, 0-9, '-' and '_', like \"sp500\"")
]
Python = Annotated[StrictStr, _matching(r"3\.\d{1,2}", 'a version like "3.11"')]
Paths = Annotated[
    tuple[Annotated[StrictStr, AfterValidator(_path)], ...],
    Field(min_length=1, max_length=1000),
    BeforeValidator(_one_or_more),
]
Column = Annotated[StrictStr, StringConstraints(min_length=1, max_length=1000)]
Moon = Annotated[StrictInt, Field(ge=-MOON_LIMIT, le=MOON_LIMIT)]
Count = Annotated[StrictInt, Field(ge=0, le=MOON_LIMIT)]
Size = Annotated[int, BeforeValidator(parse_size)]
Time = Annotated[float, BeforeValidator(parse_time)]


class Entry(BaseModel):
    """A table of the file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataEntry(Entry):
    """[data]: the files of the features and of the targets, each one file or several with equal columns."""

    X: Paths
    y: Paths


class TargetEntry(Entry):
    """[columns.targets.NAME]: where the truth stands and where the prediction goes; default: NAME."""

    input: Column | None = None
    output: Column | None = None


class ColumnsEntry(Entry):
    """[columns]: what the columns are."""

    moon: Column
    id: Column
    features: Annotated[
        dict[Identifier, Annotated[tuple[Column, ...], Field(min_length=1)]], Field(min_length=1)
    ] = {"default": ("*",)}
    targets: Annotated[dict[Identifier, TargetEntry], Field(min_length=1)]


class SplitEntry(Entry):
    """[splits.NAME]: a range of moons, both ends within it."""

    first: Moon
    last: Moon
    visibility: Literal["all", "scores", "status"] | None = None
    guards: Annotated[tuple[Guard, ...], BeforeValidator(_guards)] | None = None
    continues: StrictStr | None = None


class LimitsEntry(Entry):
    """[limits]: what a run may use."""

    call_time: Time = 3600.0
    run_time: Time = 15 * 3600.0
    memory: Size = 8 << 30
    disk: Size = 4 << 30
    processes: Annotated[StrictInt, Field(ge=1, le=1 << 22)] | None = None
    log: Size = 1 << 20
    resources: Size = 2 << 30
    result: Size = 1 << 30
    code: Size = 5 * 10**9


class MetricEntry(Entry):
    """[[metrics]]: one number that a prediction is judged by."""

    name: Identifier
    function: StrictStr
    target: StrictStr
    per: Literal["moon", "all"] = "moon"
    reduce: Literal["mean", "sharpe", "sum"] = "mean"
    direction: Literal["maximize", "minimize"] | None = None


class CompetitionEntry(Entry):
    """The whole file."""

    name: Slug
    title: Readable
    format: Literal["cross-sectional", "timeseries"]
    python: Python | None = None
    gpu: StrictBool = False
    embargo: Count = 0
    train_frequency: Count = 0
    first_train: Literal["if-empty", "always"] = "if-empty"
    data: DataEntry
    columns: ColumnsEntry
    splits: Annotated[
        dict[Slug, SplitEntry],
        Field(min_length=1),
    ]
    limits: LimitsEntry = LimitsEntry()
    metrics: tuple[MetricEntry, ...] = ()


def least_processes() -> int:
    """Return how many processes and threads a run must be allowed here: libraries start some per core."""
    return 256 + 4 * (os.cpu_count() or 1)


def keys(entry: type[BaseModel] = CompetitionEntry) -> list[str]:
    """Return the names of a table's keys."""
    return list(entry.model_fields)


def known_keys(location: tuple[Any, ...]) -> list[str]:
    """Return the keys that the table at a location of the file may have."""
    tables: dict[str, type[BaseModel]] = {
        "data": DataEntry,
        "columns": ColumnsEntry,
        "limits": LimitsEntry,
        "splits": SplitEntry,
        "metrics": MetricEntry,
    }
    if not location:
        return keys()
    if location[:2] == ("columns", "targets"):
        return keys(TargetEntry)
    return keys(tables.get(str(location[0]), CompetitionEntry))
