"""Which sandbox is used: the one asked for, else the strongest that works here."""

from __future__ import annotations

from functools import cache

from ..errors import UsageError
from .port import Sandbox

NAMES = ("bubblewrap", "landlock", "process")


def select(name: str) -> Sandbox:
    """Return an adapter by its name, or for "auto" the first that is available here.

    An adapter asked for by name is returned though it may not work here: its capabilities tell.
    Raises UsageError for another name.
    """
    if name == "auto":
        return _strongest()
    if name not in NAMES:
        raise UsageError(f"'{name}' is no sandbox; there are: auto, {', '.join(NAMES)}")
    return _adapter(name)


@cache
def _strongest() -> Sandbox:
    for name in NAMES[:-1]:
        if _adapter(name).capabilities().available:
            return _adapter(name)
    return _adapter(NAMES[-1])


@cache
def _adapter(name: str) -> Sandbox:
    if name == "bubblewrap":
        from .bubblewrap import Bubblewrap

        return Bubblewrap()
    if name == "landlock":
        from .landlock import LandlockSandbox

        return LandlockSandbox()
    from .process import ProcessSandbox

    return ProcessSandbox()
