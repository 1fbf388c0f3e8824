"""`crunch run`: one submission on one split."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from opencrunch.cli.progress import TerminalFace

ADAPTERS = ("auto", "bubblewrap", "landlock", "process")
_STATUS = {"participant": 1, "organiser": 2, "user": 2, "platform": 3}


@click.command()
@click.argument("submission", type=click.Path(path_type=Path))
@click.option(
    "--competition", required=True, type=click.Path(path_type=Path), help="Directory with competition.toml."
)
@click.option("--split", default="local", show_default=True, help="Which moons to run.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Directory for the results [default: below runs/]."
)
@click.option(
    "--sandbox", type=click.Choice(ADAPTERS), default="auto", show_default=True, help="How to isolate it."
)
@click.option(
    "--train-frequency", type=click.IntRange(min=0), help="Train at moons that N divides (0: never)."
)
@click.option("--force-first-train", is_flag=True, help="Train at the first moon though a model is there.")
@click.option("--no-determinism", is_flag=True, help="Do not repeat a sample of the calls.")
@click.option("--gpu", is_flag=True, help="Give the submission the machine's GPU.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the draws [default: a random one, logged].")
@click.option("--resume", is_flag=True, help="Go on with the run that --out holds.")
@click.option("--json", "as_json", is_flag=True, help="Print the record on standard output.")
def run(
    submission: Path,
    competition: Path,
    split: str,
    out: Path | None,
    sandbox: str,
    train_frequency: int | None,
    force_first_train: bool,
    no_determinism: bool,
    gpu: bool,
    seed: int | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Run SUBMISSION, a directory with a main.py, on a split of a competition, and score it.

    Exit status: 0 the run succeeded, 1 the submission failed, 2 wrong usage or a fault of the competition,
    3 a fault of the machine, 130 interrupted (go on with --resume).
    """
    if resume and out is None:
        raise click.UsageError("--resume needs --out, the directory of the run to go on with")
    out = out or default_out(submission, split)
    record = run_and_show(
        as_json=as_json,
        submission=submission,
        competition=competition,
        out=out,
        split=split,
        sandbox=sandbox,
        train_frequency=train_frequency,
        force_first_train=force_first_train,
        determinism=not no_determinism,
        gpu=gpu,
        seed=seed,
        resume=resume,
    )
    raise click.exceptions.Exit(exit_status(record))


def default_out(submission: Path, split: str) -> Path:
    """Return a directory below runs/ that names submission, split and time."""
    name = submission.resolve().name or "submission"
    return Path("runs") / f"{name}-{split}-{time.strftime('%Y%m%d-%H%M%S')}"


def run_and_show(*, as_json: bool, **options: Any) -> dict[str, Any]:
    """Do the run with a face on standard error, then show its record on standard output."""
    from opencrunch.run import execute
    from opencrunch.settings import cache_directory
    from opencrunch.subject import Options

    face = TerminalFace(quiet=as_json)
    try:
        record = execute(Options(cache=cache_directory(), **options), face)
    except KeyboardInterrupt:
        face.close()
        click.echo(f"interrupted; go on with: --resume --out {options['out']}", err=True)
        raise
    finally:
        face.close()
    if as_json:
        click.echo(json.dumps(record, indent=2))
    else:
        click.echo(summary(record, options["out"]))
    return record


def exit_status(record: Mapping[str, Any]) -> int:
    """Return the exit status that a record stands for."""
    failure = record["failure"]
    return _STATUS[failure["owner"]] if failure else 0


def summary(record: Mapping[str, Any], out: Path) -> str:
    """Return the lines that a person reads at the end."""
    lines = [*_failure_lines(record)] if record["failure"] else [*_score_lines(record)]
    sandbox, usage, timings = record["sandbox"], record["usage"], record["timings"]
    if record["deterministic"] is False:
        lines.append(f"not deterministic: {_determinism_text(record['determinism'])}")
    elif record["deterministic"]:
        lines.append(
            f"deterministic: {len(record['determinism']['repeated'])} predictions repeated, all equal"
        )
    lines.extend(f"note: {warning}" for warning in record["warnings"])
    if sandbox:
        lines.append(
            f"sandbox {sandbox['adapter']}, {timings['total']:.1f} s in all, "
            f"CPU {usage['cpu']:.1f} s, peak memory {usage['peak_memory'] / (1 << 20):,.0f} MiB"
        )
    lines.append(f"everything of this run: {out}")
    return "\n".join(lines)


def _failure_lines(record: Mapping[str, Any]) -> list[str]:
    failure, progress = record["failure"], record["progress"]
    where = f" at moon {failure['key']}" if failure.get("key") is not None else ""
    lines = [f"FAILED{where} ({failure['owner']}, {failure['cause']}): {failure['message']}"]
    if failure.get("traceback"):
        lines.append(failure["traceback"])
    if progress["total"]:
        lines.append(f"{progress['done']} of {progress['total']} moons were done")
    return lines


def _score_lines(record: Mapping[str, Any]) -> list[str]:
    lines = [f"succeeded: {record['progress']['total']} moons"]
    for name, score in (record["scores"] or {}).items():
        value = "no value" if score["value"] is None else f"{score['value']:.6g}"
        lines.append(f"  {name:<24} {value}  ({score['direction']}, {score['keys']} keys)")
    return lines


def _determinism_text(determinism: Mapping[str, Any]) -> str:
    if failure := determinism["failure"]:
        return f"the repeated call of moon {failure['key']} failed: {failure['message']}"
    difference = determinism["difference"]
    return (
        f"moon {difference['key']}, id {difference['row']}, {difference['column']}: "
        f"{difference['first']!r}, then {difference['second']!r}"
    )
