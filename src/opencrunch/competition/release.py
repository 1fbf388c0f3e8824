"""The participants' release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencrunch.competition.file import Competition


def release(competition: Competition, out: Path) -> Path:
    """Write the participants' release."""
    raise NotImplementedError
