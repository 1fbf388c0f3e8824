"""Commands in the documentation exist, with their options; every option is documented."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from opencrunch.cli import crunch
from opencrunch.variables import _PASSED, _THREADS
from tests.docs.pages import DOCS, PAGES, blocks, inline_code, name, rows, section

CLI = DOCS / "cli.md"
SHELLS = ("bash", "zsh", "fish")
WHOLE = [
    pytest.param(line.removeprefix("$ "), id=f"{name(page)}: {line}")
    for page in PAGES
    for block in blocks(page, "sh", "console")
    for line in block.text.splitlines()
    if re.match(r"(\$ )?crunch\b", line)
]
MENTIONED = [
    pytest.param(code, id=f"{name(page)}: {code}")
    for page in PAGES
    for code in inline_code(page)
    if code.startswith("crunch ")
]


def commands(command: click.Command = crunch, path: str = "crunch") -> Iterator[tuple[str, click.Command]]:
    """Yield the commands that do something, and the command itself, with what one types for them."""
    if isinstance(command, click.Group):
        if command is crunch:
            yield path, command
        with click.Context(command) as context:
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                assert found is not None
                yield from commands(found, f"{path} {inner}")
    else:
        yield path, command


COMMANDS = dict(commands())


def find(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words begin with, and the words after its name."""
    command: click.Command = crunch
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        with click.Context(command) as context:
            inner = command.get_command(context, rest[0])
        assert inner is not None, f"there is no command '{rest[0]}' in {command.name}"
        command, rest = inner, rest[1:]
    return command, rest


def options(command: click.Command) -> set[str]:
    """Return all spellings of a command's options."""
    with click.Context(command, help_option_names=["-h", "--help"]) as context:
        return {
            word
            for option in command.get_params(context)
            if isinstance(option, click.Option)
            for word in (*option.opts, *option.secondary_opts)
        }


@pytest.mark.parametrize("line", WHOLE)
def test_a_command_that_is_shown_could_be_typed(line: str) -> None:
    command, rest = find(shlex.split(line, comments=True))
    command.make_context("crunch", rest).close()  # parses; runs nothing


@pytest.mark.parametrize("code", MENTIONED)
def test_a_command_that_is_mentioned_exists_with_its_options(code: str) -> None:
    command, rest = find(re.sub(r"[\[\]]", "", code).split())
    assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= options(command)


def test_the_check_of_commands_would_find_a_wrong_one() -> None:
    command, rest = find(["crunch", "run", "x", "--competition", "y", "--seeed", "1"])
    with pytest.raises(click.NoSuchOption):
        command.make_context("crunch", rest)
    with pytest.raises(AssertionError, match="no command 'checks'"):
        find(["crunch", "sandbox", "checks"])


@pytest.mark.parametrize("path", COMMANDS)
def test_each_command_is_documented_with_its_options_and_defaults(path: str) -> None:
    command = COMMANDS[path]
    found = {row[0]: row[1] for row in rows(section(CLI, path))}
    with click.Context(command) as context:
        parameters = command.get_params(context) if command is crunch else command.params
    expected = {}
    for parameter in parameters:
        words = parameter.opts if isinstance(parameter, click.Option) else [parameter.make_metavar(context)]
        spelled = ", ".join(f"`{word}`" for word in sorted(words, reverse=True, key=len))
        expected[spelled] = _default(parameter, found.get(spelled, ""))
    assert found == expected


def _default(parameter: click.Parameter, said: str) -> str:
    """Return what the table has to say of a default; where the code has none, it says what happens then."""
    if parameter.required:
        return "must be there"
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return said
    return f"`{parameter.default}`" if isinstance(parameter.default, str) else said


def test_no_command_is_documented_that_does_not_exist() -> None:
    sections = re.findall(r"^## (crunch.*)$", CLI.read_text("utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(COMMANDS)


def test_variables_that_bear_on_results_are_documented() -> None:
    named = {
        word for row in rows(section(CLI, "Environment variables")) for word in re.findall(r"`(\w+)`", row[0])
    }
    assert {"OPENCRUNCH_CACHE", *_THREADS, *_PASSED} == named


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gets_its_script(shell: str) -> None:
    done = _complete(f"{shell}_source")
    assert "_CRUNCH_COMPLETE" in done
    assert f"{shell}_complete" in done


def test_the_shells_of_the_page_are_those_of_click() -> None:
    assert set(re.findall(r"(\w+)_source", CLI.read_text("utf-8"))) == set(SHELLS)


def test_commands_and_options_are_completed() -> None:
    assert _complete("bash_complete", COMP_WORDS="crunch ru", COMP_CWORD="1") == "plain,run\n"
    words = {"COMP_WORDS": "crunch run --sp", "COMP_CWORD": "2"}
    assert _complete("bash_complete", **words) == "plain,--split\n"


def _complete(instruction: str, **variables: str) -> str:
    environment = {**os.environ, "_CRUNCH_COMPLETE": instruction, **variables}
    command = [sys.executable, "-m", "opencrunch.cli"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=Path("/"), check=False
    )
    return done.stdout
