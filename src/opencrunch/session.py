"""The boundary: `call` runs one function of the submission as if in a fresh process.

The unit of isolation is the sandbox; within one, the submission is imported once and forked for each call,
so that every call starts from the same just-imported state. Where a fork cannot serve (the import used OpenMP
or a GPU, left threads, processes or shared mappings behind) each call gets a sandbox of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opencrunch import wire
from opencrunch.connection import Closed, Overrun, TimedOut
from opencrunch.errors import CallError
from opencrunch.failure import Key, call_error, ended_error
from opencrunch.log import Log
from opencrunch.release import Release, Rows
from opencrunch.resources import Resources, TreeError, Version
from opencrunch.sandbox.port import Usage
from opencrunch.template import Child, Function, Launch, Loaded, Template
from opencrunch.values import ColumnValue
from opencrunch.workspace import Workspace

Result = wire.Table | wire.Other
T = TypeVar("T")

_EXIT_SECONDS = 0.05  # that a child is given to end by itself before it is killed


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """What a successful call gave and cost."""

    value: T
    resources: Version
    seconds: float  # from the request to the last byte of the result
    cpu: float  # seconds
    usage: Usage


class Session:
    """Calls of one submission in one sandbox at a time; a context manager that leaves nothing running."""

    def __init__(
        self,
        launch: Launch,
        *,
        release: Release,
        resources: Resources,
        version: Version,
        log: Log,
        beat: Callable[[Usage], None] = lambda usage: None,
        repeats: bool = False,
    ) -> None:
        """Take what is called and where it starts from; `repeats` marks the log of calls made again."""
        self.launch = launch
        self.release = release
        self.version = version
        self.log = log
        self.loaded: Loaded | None = None
        self.timings: dict[str, float] = {"sandbox": 0.0, "import": 0.0}
        self._resources = resources
        self._beat = beat
        self._template: Template | None = None
        self._workspace: Workspace | None = None
        self._ahead: Child | None = None
        self._repeats = repeats
        self._noted: set[tuple[str, str]] = set()
        self._peak = 0
        self._cpu = 0.0
        self._disk = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def forks(self) -> bool:
        """Whether calls are forks of one import."""
        return self.loaded is None or self.loaded.obstacle is None

    def open(self, timeout: float) -> Loaded:
        """Start the sandbox and import the submission.

        Raises PlatformError where the sandbox does not start, CallError where the import fails.
        """
        if self._template is None:
            self.log.begin("import")
            self._template = Template(self.launch, self.log, self._on_beat)
            self._workspace = Workspace(self._template.process, self.launch.submission, self._resources)
            self._workspace.fill(self.version)
            self._template.boot()
            loaded = self._template.load(timeout)
            self.timings["sandbox"] += self._template.start_seconds
            self.timings["import"] += loaded.seconds
            if self.loaded is None:
                self.loaded = loaded
                if loaded.obstacle and not self._repeats:
                    self.log.note(f"each call gets a fresh process: {loaded.obstacle}")
            self._template.watch.drain()
        assert self.loaded is not None
        return self.loaded

    def call(
        self,
        function: str,
        values: Mapping[str, Any],
        *,
        key: Key,
        timeout: float,
        limits: wire.ResultLimits | None = None,
        accept: Callable[[Result], T],
    ) -> Outcome[T]:
        """Run one function with the values that it asks for; `limits` None takes no result.

        Returns what `accept` makes of the result, when the result has arrived whole, everything that the call
        started is gone, and what it wrote outside resources is undone. Raises CallError otherwise, also where
        `accept` does.
        """
        loaded = self.open(timeout)
        wanted = self._wanted(function, loaded, key)
        self.log.begin(f"{key} {function} again" if self._repeats else f"{key} {function}")
        started, cpu = time.monotonic(), self.usage().cpu
        deadline = started + min(timeout, self.launch.call_time)
        child = self._take_child()
        try:
            result = self._exchange(child, function, wanted, values, key, deadline, limits)
            seconds = time.monotonic() - started
            accepted = accept(result)  # while the child ends
            child.connection.await_close(time.monotonic() + _EXIT_SECONDS)
            self._settle()
        except TreeError as error:
            self.close()
            raise CallError(error.message, cause=error.cause, function=function, key=key) from error
        except BaseException:
            self.close()
            raise
        finally:
            child.connection.close()
            self.release.forget_now()
        usage = self.usage()
        return Outcome(
            value=accepted, resources=self.version, seconds=seconds, cpu=usage.cpu - cpu, usage=usage
        )

    def put_resources(self, version: Version) -> None:
        """Let the next call start from a version of resources."""
        self.version = version
        if self._workspace is not None:
            self._workspace.put_resources(version)

    def close(self) -> None:
        """Kill what runs; the next call would start afresh."""
        if self._ahead is not None:
            self._ahead.connection.close()
            self._ahead = None
        if self._template is not None:
            template, self._template, self._workspace = self._template, None, None
            usage = template.process.usage()
            self._peak, self._disk = max(self._peak, usage.peak_memory), max(self._disk, usage.disk)
            self._cpu += usage.cpu
            template.close()

    def usage(self) -> Usage:
        """Return what runs now uses, with the peak and the CPU time of everything so far."""
        if self._template is None:
            return Usage(memory=0, peak_memory=self._peak, cpu=self._cpu, tasks=0, disk=self._disk)
        now = self._template.process.usage()
        return Usage(
            memory=now.memory,
            peak_memory=max(now.peak_memory, self._peak),
            cpu=now.cpu + self._cpu,
            tasks=now.tasks,
            disk=max(now.disk, self._disk),
        )

    def _wanted(self, function: str, loaded: Loaded, key: Key) -> tuple[str, ...]:
        found: Function | None = loaded.functions.get(function)
        main = self.launch.submission.main
        if found is None or found.not_callable:
            there = ", ".join(loaded.callables) or "none"
            what = f"is a {found.not_callable}, not a function" if found else f"was not found in {main}"
            raise CallError(
                f"{function} {what}; functions that are there: {there}",
                cause="missing-function",
                function=function,
                key=key,
            )
        for level, text in found.notes:
            if (function, text) not in self._noted and not self._repeats:
                self._noted.add((function, text))
                self.log.note(f"{level}: {text}")
        return found.wanted

    def _take_child(self) -> Child:
        template = self._template
        assert template is not None
        if not self.forks:
            return template.serve()
        child, self._ahead = self._ahead or template.fork(), None
        return child

    def _exchange(
        self,
        child: Child,
        function: str,
        wanted: tuple[str, ...],
        values: Mapping[str, Any],
        key: Key,
        deadline: float,
        limits: wire.ResultLimits | None,
    ) -> Result:
        template = self._template
        assert template is not None
        connection, timeout = child.connection, deadline - time.monotonic()
        template.watch.begin()
        try:
            template.wait_ready(child, deadline)
            connection.deadline = deadline
            described = {name: self._describe(values[name]) for name in wanted if name in values}
            taken = {"rows": limits.rows, "columns": limits.columns} if limits else None
            connection.send(
                wire.pack({"op": "call", "function": function, "values": described, "limits": taken})
            )
            if self.forks:
                self._ahead = template.fork()
            header = wire.read_header(connection.read)
            if header["op"] == "failed":
                raise call_error(wire.read_failure(header), watch=template.watch, function=function, key=key)
            if header["op"] != "result":
                raise wire.WireError("an answer that is neither a result nor a failure")
            none = wire.ResultLimits(rows=0, columns=0, size=0)
            result = wire.read_result(header, connection.read, limits or none)
            template.watch.check_memory()
            return result
        except (Closed, TimedOut, Overrun, wire.WireError) as error:
            code = template.exit_code(child) if isinstance(error, Closed) else None
            raise ended_error(
                error, code, watch=template.watch, function=function, key=key, timeout=timeout
            ) from error
        finally:
            template.watch.drain()

    def _settle(self) -> None:
        """Kill what the call left, take its resources, undo the rest; else give the sandbox up."""
        template, workspace = self._template, self._workspace
        assert template is not None
        assert workspace is not None
        if not self.forks:
            template.process.sweep(keep=(template.pid,))
            template.process.pause()
            self.version = workspace.take_resources()
            self.close()
            return
        if self._ahead is not None:
            template.wait_ready(self._ahead, time.monotonic() + 10)
        keep = (template.pid, self._ahead.pid) if self._ahead else (template.pid,)
        swept = template.process.sweep(keep=keep)
        self.version = workspace.take_resources()
        try:
            workspace.clean()
        except TreeError:
            swept = False
        template.watch.drain()
        self.log.finish()
        if not swept:
            self.close()

    def _describe(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Rows):
            assert self._template is not None
            return self.release.describe(value, self._template.process.inside("/data"))
        return {"column": value.name} if isinstance(value, ColumnValue) else {"json": value}

    def _on_beat(self) -> None:
        self._beat(self.usage())
