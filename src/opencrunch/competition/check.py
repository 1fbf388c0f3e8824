"""A competition's data against its file: every broken rule is found, and what the build needs is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from pyarrow import types

from opencrunch.competition.coverage import feature_problems, split_problems
from opencrunch.competition.data import Table, open_table
from opencrunch.competition.dtypes import Form, as_numpy, form_of
from opencrunch.competition.file import FILE, Competition
from opencrunch.competition.keys import Keys, compare, read_keys
from opencrunch.competition.problems import Problem, Problems, listed, shown, suggestion


@dataclass(frozen=True, kw_only=True)
class Examined:
    """Data that keep all rules: the tables, the form of each column, the keys of all rows."""

    tables: Mapping[str, Table]
    forms: Mapping[str, dict[str, Form]]
    keys: Mapping[str, Keys]


def examine(competition: Competition) -> Examined:
    """Check the data; raises CompetitionError that names every broken rule."""
    problems: list[Problem] = []
    tables: dict[str, Table] = {}
    for name, files in competition.tables.items():
        try:
            tables[name] = open_table(name, files, competition.directory)
        except Problems as error:
            problems.extend(error.problems)
    forms: dict[str, dict[str, Form]] = {}
    keys: dict[str, Keys] = {}
    for name, table in tables.items():
        found = list(_roles(competition, table))
        problems.extend(found)
        forms[name] = _forms(table, problems)
        if not found:
            _take_keys(competition, table, keys, problems)
    if "X" in tables:
        problems.extend(feature_problems(competition, tables["X"].names))
    if "y" in tables:
        problems.extend(_target_problems(competition, tables["y"], forms["y"]))
    if "X" in keys:
        problems.extend(split_problems(competition, np.unique(keys["X"].moons)))
    if len(keys) == 2:
        problems.extend(compare(keys["X"], keys["y"], files=(tables["X"].file, tables["y"].file)))
    if problems:
        raise Problems(problems)
    return Examined(tables=tables, forms=forms, keys=keys)


def metric_problems(competition: Competition) -> Iterator[Problem]:
    """Yield the metrics of the organiser's that cannot be loaded; it runs their file."""
    from opencrunch.custom_metric import load
    from opencrunch.errors import CompetitionError
    from opencrunch.metrics import BUILT_IN

    for position, metric in enumerate(competition.metrics):
        if metric.function in BUILT_IN:
            continue
        try:
            load(metric.function, competition.directory)
        except CompetitionError as error:
            yield Problem(file=FILE, key=f"metrics[{position}].function", message=error.message)


def _roles(competition: Competition, table: Table) -> Iterator[Problem]:
    """Yield the columns that the file names and the table lacks."""
    roles = competition.columns
    wanted = {"columns.moon": roles.moon, "columns.id": roles.id}
    if table.name == "y":
        wanted.update(
            {f"columns.targets.{name}.input": target.input for name, target in roles.targets.items()}
        )
    for key, column in wanted.items():
        if column not in table.names:
            message = f"there is no column {shown(column)}; {suggestion(column, table.names)}"
            yield Problem(file=table.file, key=key, message=message)


def _forms(table: Table, problems: list[Problem]) -> dict[str, Form]:
    forms = {}
    for name in table.names:
        stored = table.type(name)
        # only for these it matters, and where statistics are lacking it costs reading the column
        counts = types.is_integer(stored) or types.is_boolean(stored)
        form = form_of(stored, table.missing(name) if counts else 0)
        if isinstance(form, Form):
            forms[name] = form
        else:
            problems.append(
                Problem(
                    file=table.file,
                    message=f"column {shown(name)} is stored as {stored}, and {form.stored} is not "
                    f"supported; store {form.instead}",
                )
            )
    return forms


def _take_keys(
    competition: Competition, table: Table, keys: dict[str, Keys], problems: list[Problem]
) -> None:
    roles = competition.columns
    try:
        keys[table.name] = read_keys(table, moon=roles.moon, id=roles.id)
    except Problems as error:
        problems.extend(error.problems)


def _target_problems(competition: Competition, table: Table, forms: Mapping[str, Form]) -> Iterator[Problem]:
    for name, target in competition.columns.targets.items():
        form = forms.get(target.input)
        if form is None:
            continue
        key = f"columns.targets.{name}.input"
        if form.kind != "plain" or np.dtype(form.dtype).kind not in "iuf":
            stored = table.type(target.input)
            message = f"column {shown(target.input)} is stored as {stored}; expected numbers"
            yield Problem(file=table.file, key=key, message=message)
            continue
        values = as_numpy(table.column(target.input), form)
        rows = np.flatnonzero(np.isinf(values))
        if len(rows):
            message = (
                f"column {shown(target.input)} has {len(rows):,} infinite value(s), in rows "
                f"{listed(rows.tolist())} (counted from 0); "
                "expected finite numbers, or NaN where there is no target"
            )
            yield Problem(file=table.file, key=key, message=message)
