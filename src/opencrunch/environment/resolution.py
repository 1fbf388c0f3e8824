"""Resolving requirements for one Python, and finding out which other one would do when that fails."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..errors import DependencyError, PlatformError
from .installer import resolve
from .interpreter import Interpreter
from .layout import Layout
from .lock import ADDITIONS
from .requirements import Requirements
from .search import SUPPORTED, installed


class Unresolvable(DependencyError):
    """No set of wheels satisfies the requirements; `here` is a Python of this machine that has one."""

    def __init__(self, message: str, *, here: str | None) -> None:
        super().__init__(message)
        self.here = here


def resolved(
    asked: Requirements, additions: tuple[str, ...], interpreter: Interpreter, layout: Layout
) -> str:
    """Return the lock that the resolver finds; raises Unresolvable, and PlatformError for the index."""
    lines = (*asked.lines, *additions)
    with tempfile.TemporaryDirectory(prefix="opencrunch-") as scratch:
        try:
            return resolve(lines, interpreter, Path(scratch))
        except DependencyError as error:
            reason = error.message
        message = f"the requirements cannot be resolved for Python {interpreter.minor}: {reason}"
        if additions != ADDITIONS:
            raise Unresolvable(message, here=None)
        here = {found.minor for found in installed(layout)}
        other = _other_python(lines, interpreter, here, Path(scratch))
    if other is None:
        raise Unresolvable(message, here=None)
    if other in here:
        raise Unresolvable(
            f"{message}\nThey can be resolved for Python {other}, which this machine has.", here=other
        )
    raise Unresolvable(
        f"{message}\nThey can be resolved for Python {other}, which this machine does not have.", here=None
    )


def _other_python(
    lines: tuple[str, ...], interpreter: Interpreter, here: set[str], scratch: Path
) -> str | None:
    """Return another Python that would do: one of this machine before others, newer ones before older."""
    others = [minor for minor in reversed(SUPPORTED) if minor != interpreter.minor]
    for minor in sorted(others, key=lambda minor: minor not in here):
        try:
            resolve(lines, interpreter, scratch, version=minor)
        except DependencyError:
            continue
        except PlatformError:
            break
        return minor
    return None
