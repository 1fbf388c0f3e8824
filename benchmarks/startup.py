"""I: how long `import crunch` and `crunch --help` take, as whole processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benchmarks.measure import Result, against, take_turns

ROUNDS = 10
COMMANDS = {
    "python -c pass": ("pass",),
    "import crunch": ("import crunch",),
    "bare click --help": ("import click; click.command()(lambda: None)()", "--help"),
    "crunch --help": ("from opencrunch.cli import main; main()", "--help"),
}


def run(scale: int) -> Result:
    """Measure the commands 10 times, times the scale; what is measured does not grow."""
    seconds = take_turns({name: _process(code) for name, code in COMMANDS.items()}, rounds=ROUNDS * scale)
    empty = seconds["python -c pass"]
    notes = {
        name: f"{1e3 * (value - empty):.1f} ms above an empty process" for name, value in seconds.items()
    }
    return Result(
        benchmark="startup",
        scale=scale,
        workload=f"whole processes, median of {ROUNDS * scale}",
        unit="process",
        cases=against(
            seconds,
            {"import crunch": "python -c pass", "crunch --help": "bare click --help"},
            notes={name: note for name, note in notes.items() if name != "python -c pass"},
        ),
    )


def _process(code: tuple[str, ...]) -> Callable[[], object]:
    command = [sys.executable, "-c", *code]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
