"""The time that a run has left."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Counts down from a run's limit, in seconds."""

    def __init__(self, run_time: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._end = now() + run_time

    def left(self) -> float:
        """Return the seconds left, 0 when none is."""
        return max(0.0, self._end - self._now())
