"""The rules of competition.toml that no type expresses, and the words for those that are broken."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from opencrunch.competition.problems import Problem, shown, suggestion
from opencrunch.competition.schema import (
    ColumnsEntry,
    CompetitionEntry,
    LimitsEntry,
    MetricEntry,
    SplitEntry,
    known_keys,
    least_processes,
)
from opencrunch.metrics import BUILT_IN

Broken = tuple[str, str]
"""The key, and what is wrong with it."""

_EXPECTED = {
    "int_type": "an integer",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "string_too_short": "a text that is not empty",
    "too_short": "at least one",
}


def problems_of(error: ValidationError, file: str) -> list[Problem]:
    """Return pydantic's errors in the words of this project."""
    details = error.errors()
    below = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    # What has wrong parts alone is said to be empty too.
    return [
        _problem(detail, file)
        for detail in details
        if not (detail["type"] == "too_short" and detail["loc"] in below)
    ]


def _problem(detail: Mapping[str, Any], file: str) -> Problem:
    location = tuple(part for part in detail["loc"] if part != "[key]")
    kind, value = detail["type"], detail["input"]
    return Problem(file=file, key=dotted(location), message=_message(kind, value, detail, location))


def dotted(location: tuple[Any, ...]) -> str:
    """Return a place in the file as TOML writes it: `splits.train.first`, `metrics[0].name`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.replace("-", "").replace("_", "").isalnum() and part.isascii()
            text += ("." if text else "") + (part if plain else shown(part))
    return text


def _message(kind: str, value: object, detail: Mapping[str, Any], location: tuple[Any, ...]) -> str:
    if kind == "missing":
        return "is missing and must be there"
    if kind == "extra_forbidden":
        return f"unknown key; {suggestion(str(location[-1]), known_keys(location[:-1]))}"
    if kind == "value_error":
        return f"{shown(value)}: {detail['ctx']['error']}"
    if kind == "literal_error":
        return f"{shown(value)}: expected {detail['ctx']['expected']}"
    expected = _EXPECTED.get(kind)
    if expected is None:
        return f"{shown(value)}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
    return f"{shown(value)}: expected {expected}"


def valid_parts(content: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    """Return the parts of a file that are valid by themselves where the whole is not."""
    content = copy.deepcopy(dict(content))
    for detail in error.errors():
        if detail["type"] == "extra_forbidden":
            _remove(content, detail["loc"])
    parts: dict[str, Any] = {}
    for name, field in CompetitionEntry.model_fields.items():
        if name not in content:
            continue
        try:
            kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            parts[name] = TypeAdapter(kind).validate_python(content[name])
        except ValidationError:
            continue
    return parts


def _remove(content: Any, location: tuple[int | str, ...]) -> None:
    *path, last = location
    for part in path:
        content = content[part]
    del content[last]


def broken_rules(parts: Mapping[str, Any], directory: Path) -> Iterator[Broken]:
    """Yield what is wrong with the parts of a file whose keys all have the right type."""
    if "columns" in parts:
        yield from _column_rules(parts["columns"])
    if "splits" in parts:
        yield from _split_rules(parts["splits"])
    if "limits" in parts:
        yield from _limit_rules(parts["limits"])
    yield from _metric_rules(parts.get("metrics", ()), parts.get("columns"), directory)


def _column_rules(columns: ColumnsEntry) -> Iterator[Broken]:
    keys = {columns.moon: "moon", columns.id: "id"}
    if columns.moon == columns.id:
        yield "columns.id", f"{shown(columns.id)} is the moon column too; expected two columns"
    outputs: dict[str, str] = {}
    for name, target in columns.targets.items():
        key = f"columns.targets.{name}"
        column, output = target.input or name, target.output or name
        if column in keys:
            yield (
                f"{key}.input",
                f"{shown(column)} is the {keys[column]} column; expected another column of y",
            )
        if output in keys:
            yield f"{key}.output", f"{shown(output)} is the {keys[output]} column; expected another name"
        if output in outputs:
            yield (
                f"{key}.output",
                f"{shown(output)} is the output of '{outputs[output]}' too; expected another",
            )
        outputs[output] = name
    for group, patterns in columns.features.items():
        for pattern in patterns:
            if pattern in keys:
                yield (
                    f"columns.features.{group}",
                    f"{shown(pattern)} is the {keys[pattern]} column and no feature",
                )


def _split_rules(splits: Mapping[str, SplitEntry]) -> Iterator[Broken]:
    if "train" not in splits:
        yield "splits.train", "is missing and must be there: the first moons that participants get"
    for name, split in splits.items():
        if split.last < split.first:
            yield f"splits.{name}.last", f"{split.last} is before first = {split.first}"
        if split.continues is not None and (split.continues == name or split.continues not in splits):
            others = [other for other in splits if other != name]
            yield (
                f"splits.{name}.continues",
                f"no other split {shown(split.continues)}; " + suggestion(split.continues, others),
            )
    yield from _cycles(splits)
    yield from _overlaps(splits)


def _overlaps(splits: Mapping[str, SplitEntry]) -> Iterator[Broken]:
    ranges = [(split.first, split.last, name) for name, split in splits.items() if split.first <= split.last]
    reaching: tuple[int, int, str] | None = None  # what has reached furthest so far
    for first, last, name in sorted(ranges):
        if reaching and first <= reaching[1]:
            yield (
                f"splits.{name}.first",
                f"{first} lies in the split '{reaching[2]}', {reaching[0]} to {reaching[1]}; "
                "expected splits that share no moon",
            )
        if reaching is None or last > reaching[1]:
            reaching = (first, last, name)


def _cycles(splits: Mapping[str, SplitEntry]) -> Iterator[Broken]:
    for name in splits:
        seen, at = {name}, splits[name].continues
        while at is not None and at in splits and at not in seen:
            seen.add(at)
            at = splits[at].continues
        if at == name and len(seen) > 1:
            yield f"splits.{name}.continues", "the splits continue each other in a circle"


def _limit_rules(limits: LimitsEntry) -> Iterator[Broken]:
    least = least_processes()
    if limits.processes is not None and limits.processes < least:
        yield (
            "limits.processes",
            f"{limits.processes} is too few: expected {least} at least, for libraries start threads per core",
        )


def _metric_rules(
    metrics: Sequence[MetricEntry], columns: ColumnsEntry | None, directory: Path
) -> Iterator[Broken]:
    names: set[str] = set()
    for position, metric in enumerate(metrics):
        key = f"metrics[{position}]"
        if metric.name in names:
            yield f"{key}.name", f"{shown(metric.name)} is the name of two metrics; expected another"
        names.add(metric.name)
        if columns and metric.target not in columns.targets:
            yield (
                f"{key}.target",
                f"no target {shown(metric.target)}; " + suggestion(metric.target, columns.targets),
            )
        if metric.function not in BUILT_IN:
            yield from _own_metric(f"{key}.function", metric.function, directory)


def _own_metric(key: str, function: str, directory: Path) -> Iterator[Broken]:
    path, separator, name = function.partition(":")
    if not separator:
        yield (
            key,
            f'{shown(function)}: expected "file.py:function" or a built-in; '
            + suggestion(function, BUILT_IN),
        )
        return
    if not path.endswith(".py") or not path.isprintable() or not name.isidentifier():
        yield key, f'{shown(function)}: expected "file.py:function"'
        return
    root = Path(os.path.realpath(directory))
    file = Path(os.path.realpath(root / path))
    if not file.is_relative_to(root) or not os.path.isfile(file):
        yield key, f"{shown(path)} is not a file of the competition's directory"
