"""What a format sees of a run: the schedule, the data as they may be known, and the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from opencrunch.clock import Clock
from opencrunch.errors import CallError
from opencrunch.events import Events, Face
from opencrunch.journal import Entry, Journal
from opencrunch.predictions import Layout, check
from opencrunch.release import Release, Rows
from opencrunch.schedule import Step
from opencrunch.session import Outcome, Result, Session
from opencrunch.wire import ResultLimits

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Data:
    """One table, as a format asks for it; rows are released when a call asks for their name."""

    table: str
    release: Release

    def before(self, moon: int) -> Rows:
        """Return the rows with a moon strictly before `moon`."""
        return self.release.before(self.table, moon)

    def at(self, moon: int) -> Rows:
        """Return the rows of one moon."""
        return self.release.at(self.table, moon)


class Context:
    """One run, as a format drives it."""

    def __init__(
        self,
        *,
        steps: tuple[Step, ...],
        embargo: int,
        layout: Layout,
        session: Session,
        common: Mapping[str, Any],
        journal: Journal,
        events: Events,
        face: Face,
        clock: Clock,
        done: frozenset[int],
    ) -> None:
        self.embargo = embargo
        self.X = Data(table="X", release=session.release)
        self.y = Data(table="y", release=session.release)
        self._steps = steps
        self._layout = layout
        self._session = session
        self._common = common
        self._journal = journal
        self._events = events
        self._face = face
        self._clock = clock
        self._done = done
        self._calls: list[dict[str, Any]] = []

    @property
    def schedule(self) -> Iterator[Step]:
        """Yield the steps that are still to be done, in order."""
        for step in self._steps:
            if step.moon not in self._done:
                self._calls = []
                yield step

    def call(self, function: str, *, key: int, **values: Any) -> None:
        """Call a function whose result is ignored."""
        self._call(function, key, values, None, lambda result: None)

    def predict(self, *, moon: int, **values: Any) -> None:
        """Call `infer`, check what it returns, and write it to the journal with the resources it left."""
        expected = self._layout.expected(moon)
        before = self._session.version
        outcome = self._call(
            "infer", moon, {**values, "moon": moon}, expected.limits, lambda result: check(result, expected)
        )
        prediction = outcome.value
        entry = Entry(
            key=moon,
            prediction=prediction,
            resources_before=before.name,
            resources_after=outcome.resources.name,
            calls=self._calls,
        )
        self._journal.add(entry, before, outcome.resources)
        self._events.write("key", key=moon, rows=len(prediction))

    def _call(
        self,
        function: str,
        key: int,
        values: Mapping[str, Any],
        limits: ResultLimits | None,
        accept: Callable[[Result], T],
    ) -> Outcome[T]:
        position = next(index for index, step in enumerate(self._steps) if step.moon == key)
        self._face.progress(key, function, done=position, total=len(self._steps))
        timeout = self._clock.left()
        if timeout <= 0:
            raise CallError(
                f"the run's time was used up before {function}() of {key}",
                cause="out-of-time",
                function=function,
                key=key,
            )
        outcome = self._session.call(
            function,
            {**self._common, **values},
            key=key,
            timeout=timeout,
            limits=limits,
            accept=accept,
        )
        call = {"function": function, "seconds": outcome.seconds, "cpu": outcome.cpu,
                "peak_memory": outcome.usage.peak_memory}  # fmt: skip
        self._calls.append(call)
        self._events.write("call", key=key, **call)
        return outcome
