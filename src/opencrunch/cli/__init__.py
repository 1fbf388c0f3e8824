"""The `crunch` command; each command's module is imported when it is used."""

from __future__ import annotations

import importlib
import sys

import click

from opencrunch.errors import OpenCrunchError

COMMANDS = {
    "run": "opencrunch.cli.run:run",
    "demo": "opencrunch.cli.demo:demo",
    "competition": "opencrunch.cli.competition:competition",
    "sandbox": "opencrunch.cli.sandbox:sandbox",
}
HELP = {
    "run": "Run a submission on a competition's split, and score it.",
    "demo": "Run the bundled example, and say what to try next.",
    "competition": "Check and build a competition.",
    "sandbox": "Examine the sandbox of this machine.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for, not when help lists them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name, else say which one may be meant."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else f" There are: {', '.join(COMMANDS)}."
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their one sentence, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(HELP.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="opencrunch", message="%(prog)s %(version)s")
def crunch() -> None:
    """Run machine-learning code competitions: honestly called, sandboxed, scored."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its status: 0, 1 participant, 2 usage or organiser, 3 platform, 130."""
    try:
        status = crunch.main(args=arguments, prog_name="crunch", standalone_mode=False)
    except click.exceptions.Exit as error:
        status = error.exit_code
    except click.ClickException as error:
        error.show()
        status = 2
    except OpenCrunchError as error:
        click.echo(f"crunch: {error.message}", err=True)
        status = error.exit_status
    except (KeyboardInterrupt, click.Abort):
        click.echo("crunch: interrupted", err=True)
        status = 130
    except BrokenPipeError:
        status = 1
    except OSError as error:
        click.echo(f"crunch: the machine refused: {error}", err=True)
        status = 3
    sys.exit(status if isinstance(status, int) else 0)
