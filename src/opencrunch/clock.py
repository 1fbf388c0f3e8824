"""The time that a run has left, over all its resumptions."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Counts down from a limit, in seconds; `already` was used by the same run before it was interrupted."""

    def __init__(
        self, limit: float, *, already: float = 0.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._limit = limit
        self._start = now() - already

    def used(self) -> float:
        """Return the seconds used so far."""
        return self._now() - self._start

    def left(self) -> float:
        """Return the seconds left, 0 when none is."""
        return max(0.0, self._limit - self.used())
