"""`crunch sandbox`: what the sandbox of this machine holds against."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from opencrunch.sandbox.attacks.attack import Finding
    from opencrunch.sandbox.port import Capabilities, Sandbox

_COLOURS = {"held": "green", "broken": "bold red", "absent": "yellow"}


@click.group()
def sandbox() -> None:
    """Examine the sandbox of this machine."""


@sandbox.command()
@click.option(
    "--adapter",
    type=click.Choice(["auto", "bubblewrap", "landlock", "process"]),
    default="auto",
    show_default=True,
    help="Which sandbox to attack; auto: the strongest that works here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def check(adapter: str, as_json: bool) -> None:
    """Attack the sandbox from inside and show what held.

    Every attack is also run without guards, to prove that it works. Exits with 1 if any guard is
    broken, with 3 if the sandbox does not start here.
    """
    from opencrunch.sandbox.select import select

    chosen = select(adapter)
    capabilities = chosen.capabilities()
    findings = []
    for finding in _findings(chosen, capabilities):
        findings.append(finding)
        _progress(len(findings), finding)
    _progress(None, None)
    if as_json:
        document = {"adapter": chosen.name, "attacks": [finding.to_json() for finding in findings]}
        click.echo(json.dumps(document, indent=2))
    else:
        _show(capabilities, findings)
    broken = [finding for finding in findings if finding.outcome == "broken"]
    raise click.exceptions.Exit(1 if broken else 0)


def _findings(sandbox: Sandbox, capabilities: Capabilities) -> Iterator[Finding]:
    from opencrunch.environment.layout import Layout
    from opencrunch.environment.search import find_interpreter
    from opencrunch.sandbox.attacks.future import look_ahead
    from opencrunch.sandbox.attacks.suite import examine
    from opencrunch.settings import cache_directory

    cache = cache_directory()
    yield from examine(sandbox, find_interpreter(None, Layout(cache=cache)))
    # what is not released yet is only out of reach where the host's files are
    reason = capabilities.absent.get("files", "the adapter does not hide the host's files")
    yield from look_ahead(sandbox.name, cache, claimed="files" in capabilities.guards, reason=reason)


def _progress(done: int | None, finding: Finding | None) -> None:
    """Show on a terminal which attack has been made last."""
    if not sys.stderr.isatty():
        return
    text = "" if finding is None else f"{done} attacks: {finding.guard}, {finding.name}"
    sys.stderr.write(f"\r\x1b[2K{text}")
    sys.stderr.flush()


def _show(capabilities: Capabilities, findings: list[Finding]) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(_table(findings))
    counts = {word: sum(finding.outcome == word for finding in findings) for word in _COLOURS}
    proven = sum(finding.control == "proven" for finding in findings)
    summary = ", ".join(f"{count} {word}" for word, count in counts.items())
    console.print(
        f"The '{capabilities.adapter}' sandbox against {len(findings)} attacks: {summary}. "
        f"{proven} are proven to work without the guard."
    )
    for finding in findings:
        if finding.control == "unproven":
            console.print(f"Not proven: {finding.name} ({_plain(finding.control_detail)})", markup=False)
    for guard, reason in capabilities.absent.items():
        console.print(f"Absent here: {guard} ({_plain(reason)})", markup=False)
    for guard, strength in capabilities.guards.items():
        if strength == "sampled":
            console.print(f"Sampled, not enforced by the kernel: {guard}", markup=False)


def _table(findings: list[Finding]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("guard", "attack", "outcome", "seen", "without the guard"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        control = (
            f"{finding.control}: {finding.control_detail}" if finding.control_detail else finding.control
        )
        table.add_row(
            finding.guard,
            Text(finding.title),
            Text(finding.outcome, style=_COLOURS[finding.outcome]),
            Text(_plain(finding.detail)),
            Text(_plain(control)),
        )
    return table


def _plain(text: str) -> str:
    """Return what came from inside the sandbox so that a terminal shows it and does nothing else."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
