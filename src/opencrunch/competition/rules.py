"""The rules of competition.toml that no type expresses, and the words for those that are broken."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from opencrunch.competition.problems import Problem, shown, suggestion
from opencrunch.competition.schema import CompetitionEntry, known_keys, least_processes
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


def problem_of(detail: Mapping[str, Any], file: str) -> Problem:
    """Return one of pydantic's errors in the words of this project."""
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


def broken_rules(entry: CompetitionEntry, directory: Path) -> Iterator[Broken]:
    """Yield what is wrong with a file whose keys all have the right type."""
    yield from _column_rules(entry)
    yield from _split_rules(entry)
    yield from _limit_rules(entry)
    yield from _metric_rules(entry, directory)


def _column_rules(entry: CompetitionEntry) -> Iterator[Broken]:
    columns = entry.columns
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


def _split_rules(entry: CompetitionEntry) -> Iterator[Broken]:
    if "train" not in entry.splits:
        yield "splits.train", "is missing and must be there: the first moons that participants get"
    for name, split in entry.splits.items():
        if split.last < split.first:
            yield f"splits.{name}.last", f"{split.last} is before first = {split.first}"
        if split.continues is not None and (split.continues == name or split.continues not in entry.splits):
            others = [other for other in entry.splits if other != name]
            yield (
                f"splits.{name}.continues",
                f"no other split {shown(split.continues)}; " + suggestion(split.continues, others),
            )
    yield from _cycles(entry)
    ordered = sorted(entry.splits.items(), key=lambda item: item[1].first)
    for (one, before), (two, after) in pairwise(ordered):
        if after.first <= before.last and before.first <= before.last:
            yield (
                f"splits.{two}.first",
                (
                    f"{after.first} lies in the split '{one}', {before.first} to {before.last}; "
                    "expected splits that share no moon"
                ),
            )


def _cycles(entry: CompetitionEntry) -> Iterator[Broken]:
    for name in entry.splits:
        seen, at = {name}, entry.splits[name].continues
        while at in entry.splits and at not in seen:
            seen.add(at)
            at = entry.splits[at].continues
        if at == name and len(seen) > 1:
            yield f"splits.{name}.continues", "the splits continue each other in a circle"


def _limit_rules(entry: CompetitionEntry) -> Iterator[Broken]:
    limits = entry.limits
    least = least_processes()
    if limits.processes is not None and limits.processes < least:
        yield (
            "limits.processes",
            f"{limits.processes} is too few: expected {least} at least, for libraries start threads per core",
        )


def _metric_rules(entry: CompetitionEntry, directory: Path) -> Iterator[Broken]:
    names: set[str] = set()
    for position, metric in enumerate(entry.metrics):
        key = f"metrics[{position}]"
        if metric.name in names:
            yield f"{key}.name", f"{shown(metric.name)} is the name of two metrics; expected another"
        names.add(metric.name)
        if metric.target not in entry.columns.targets:
            yield (
                f"{key}.target",
                f"no target {shown(metric.target)}; " + suggestion(metric.target, entry.columns.targets),
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
