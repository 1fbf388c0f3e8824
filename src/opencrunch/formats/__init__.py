"""Formats: the order in which a submission's functions are called, and with what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opencrunch.errors import CompetitionError

if TYPE_CHECKING:
    from opencrunch.context import Context

Format = Callable[["Context"], None]


def find(name: str) -> Format:
    """Return the format of a name; raises CompetitionError where there is none."""
    if name in ("cross-sectional", "timeseries"):
        from opencrunch.formats.cross_sectional import run

        return run
    raise CompetitionError(f"the format '{name}' is not one of cross-sectional, timeseries", key="format")
