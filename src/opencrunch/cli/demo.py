"""`crunch demo`: the bundled example, run as a participant would."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from opencrunch.cli.run import ADAPTERS, exit_status, run_and_show
from opencrunch.errors import PlatformError


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), help="Directory for the results [default: below runs/]."
)
@click.option(
    "--sandbox", type=click.Choice(ADAPTERS), default="auto", show_default=True, help="How to isolate."
)
@click.option("--json", "as_json", is_flag=True, help="Print the record on standard output.")
def demo(out: Path | None, sandbox: str, as_json: bool) -> None:
    """Train and test a linear model on weekly prices of 20 large companies, in the sandbox."""
    example = example_directory("sp500")
    submission = example / "submissions" / "linear"
    out = out or Path("runs") / f"demo-{time.strftime('%Y%m%d-%H%M%S')}"
    record = run_and_show(
        as_json=as_json, submission=submission, competition=example, out=out, sandbox=sandbox
    )
    if not as_json and not record["failure"]:
        where, boosting = shlex.quote(str(example)), shlex.quote(str(example / "submissions" / "boosting"))
        click.echo(
            "\nWhat to try next:\n"
            f"  crunch run {boosting} --competition {where}\n"
            "      the same competition with a gradient-boosting model\n"
            f"  crunch run {shlex.quote(str(submission))} --competition {where} --split public\n"
            "      the first model on a split whose data participants never see\n"
            f"  copy {shlex.quote(str(submission / 'main.py'))}, change infer(), and run it again\n"
            "  crunch sandbox check\n"
            "      attack this machine's sandbox from inside"
        )
    raise click.exceptions.Exit(exit_status(record))


def example_directory(name: str) -> Path:
    """Return a bundled example: in the package, or beside it in a source tree."""
    package = Path(__file__).parents[1]
    for parent in (package / "examples", package.parents[1] / "examples"):
        if (parent / name / "competition.toml").is_file():
            return parent / name
    raise PlatformError(f"the example '{name}' is not part of this installation", cause="installation")
