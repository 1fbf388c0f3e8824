"""`crunch competition`: check and build a competition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from opencrunch.competition.file import Competition
    from opencrunch.competition.store import Store
    from opencrunch.errors import CompetitionError

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")


@click.group()
def competition() -> None:
    """Check and build a competition, a directory with a competition.toml."""


@competition.command()
@DIRECTORY
@JSON
def check(directory: Path, as_json: bool) -> None:
    """Check DIR: its competition.toml, its data and its own metrics; name everything that is wrong.

    Exit status: 0 it keeps all rules, 2 it does not.
    """
    from opencrunch.competition.file import load
    from opencrunch.errors import CompetitionError

    try:
        found = load(directory)
        lines = _examine(found)
    except CompetitionError as error:
        _refuse(error, as_json=as_json)
    if as_json:
        _print_json({"valid": True, "competition": found.name, "problems": []})
    else:
        click.echo("\n".join([f"{found.name}: the file and the data keep all rules", *lines]))


@competition.command()
@DIRECTORY
@click.option(
    "--out", type=click.Path(path_type=Path), help="Directory for the release [default: DIR/release]."
)
@JSON
def build(directory: Path, out: Path | None, as_json: bool) -> None:
    """Check DIR, prepare its data for runs, and write the release for participants.

    What is built already is left as it is. Exit status: 0, or 2 where a rule is broken.
    """
    from opencrunch.competition.build import prepare, release
    from opencrunch.competition.file import load
    from opencrunch.errors import CompetitionError
    from opencrunch.settings import cache_directory

    try:
        found = load(directory)
        store = prepare(found, cache_directory())
        place = release(found, out or directory / "release")
    except CompetitionError as error:
        _refuse(error, as_json=as_json)
    content = {"competition": found.name, "store": _store_json(store), "release": str(place)}
    if as_json:
        _print_json({"valid": True, **content, "problems": []})
    else:
        click.echo(f"{found.name}: {_store_text(store)}\nprepared data: {store.path}\nrelease: {place}")


def _examine(found: Competition) -> list[str]:
    """Return what a person likes to know of data that are right."""
    import numpy as np

    from opencrunch.competition.check import examine, metric_problems
    from opencrunch.competition.problems import Problem, Problems

    problems: list[Problem] = []
    try:
        moons = examine(found).keys["X"].moons
    except Problems as error:
        problems.extend(error.problems)
    problems.extend(metric_problems(found))
    if problems:
        raise Problems(problems)
    lines = []
    for name, split in found.splits.items():
        inside = moons[(moons >= split.first) & (moons <= split.last)]
        kind = "hidden" if split.hidden else "released"
        count = len(np.unique(inside))
        lines.append(
            f"  {name}: moons {split.first} to {split.last}, {count:,} with {len(inside):,} rows, {kind}"
        )
    return lines


def _refuse(error: CompetitionError, *, as_json: bool) -> NoReturn:
    """Print the problems as JSON and exit, else let the command line print the error."""
    from opencrunch.competition.problems import Problem, Problems

    if not as_json:
        raise error
    if isinstance(error, Problems):
        problems = error.problems
    else:
        problems = (Problem(file=error.file or "", key=error.key, message=error.message),)
    _print_json({"valid": False, "problems": [problem.to_json() for problem in problems]})
    raise click.exceptions.Exit(error.exit_status)


def _store_json(store: Store) -> dict[str, Any]:
    return {
        "path": str(store.path),
        "digest": store.digest,
        "moons": len(store.moons),
        "rows": store.table("X")["rows"],
    }


def _store_text(store: Store) -> str:
    return f"{len(store.moons):,} moons, {store.table('X')['rows']:,} rows"


def _print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, indent=2))
