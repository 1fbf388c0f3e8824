"""Environments: what a submission requires, installed once, checked, and found again by a look-up."""

from __future__ import annotations

from .request import ensure
from .store import Environment, trim

__all__ = ["Environment", "ensure", "trim"]
