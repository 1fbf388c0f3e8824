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
from opencrunch.release import TARGET as RELEASED
from opencrunch.release import Release, Rows
from opencrunch.resources import Resources, TreeError, Version
from opencrunch.sandbox.port import Usage
from opencrunch.template import Child, Function, Launch, Loaded, Template
from opencrunch.values import ColumnValue
from opencrunch.workspace import Workspace

Result = wire.Table | wire.Other
T = TypeVar("T")

_EXIT_SECONDS = 0.05  # that a child is given to end by itself before it is killed
_AHEAD_SECONDS = 2.0  # that the template is given to make the next child


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
        self._counted_cpu = 0.0  # of the first import and of the calls so far

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
                self._counted_cpu = self.usage().cpu
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
        loaded = self._open_for(function, key, timeout)
        wanted = self._wanted(function, loaded, key)
        self.log.begin(f"{key} {function} again" if self._repeats else f"{key} {function}")
        started = time.monotonic()
        deadline = started + min(timeout, self.launch.call_time)
        child: Child | None = None
        try:
            child = self._take_child()
            result = self._exchange(child, function, wanted, values, key, deadline, limits)
            seconds = time.monotonic() - started
            accepted = accept(result)  # while the child ends
            child.connection.await_close(time.monotonic() + _EXIT_SECONDS)
            self._settle()
        except BaseException as error:
            failure = self._explain(error, function, key, wanted, values, time.monotonic() - started)
            self.close()
            if failure is error:
                raise
            raise failure from error
        finally:
            if child is not None:
                child.connection.close()
            self.release.forget_now()
        usage = self.usage()
        cpu, self._counted_cpu = usage.cpu - self._counted_cpu, usage.cpu
        return Outcome(value=accepted, resources=self.version, seconds=seconds, cpu=cpu, usage=usage)

    def _open_for(self, function: str, key: Key, timeout: float) -> Loaded:
        try:
            return self.open(timeout)
        except CallError as error:
            if self.loaded is not None:  # the import worked once, and failed in the fresh process of a call
                error.function, error.key = function, key
            raise

    def _explain(
        self,
        error: BaseException,
        function: str,
        key: Key,
        wanted: tuple[str, ...],
        values: Mapping[str, Any],
        seconds: float,
    ) -> BaseException:
        """Return the error that a call ends with; what a sandbox can cause is the participant's."""
        if isinstance(error, TreeError):
            error = CallError(error.message, cause=error.cause, function=function, key=key)
        elif isinstance(error, Closed | TimedOut | Overrun | wire.WireError):
            assert self._template is not None
            error = ended_error(error, None, watch=self._template.watch, function=function, key=key,
                                timeout=seconds)  # fmt: skip
        elif isinstance(error, OSError):
            text = f"{function}() left its working directory in a state that cannot be put right"
            text = f"{text} ({error.strerror})"
            error = CallError(text, cause="protocol", function=function, key=key)
        if isinstance(error, CallError):
            error.details["limits"] = self._limits(seconds)
            error.details["inputs"] = {
                name: self._shape(values[name]) for name in wanted if isinstance(values.get(name), Rows)
            }
        return error

    def _limits(self, seconds: float) -> dict[str, dict[str, float]]:
        """Return what was used of each limit when a call failed: bytes, seconds, processes and threads."""
        usage, limits = self.usage(), self.launch.limits
        return {
            "memory": {"used": usage.peak_memory, "limit": limits.memory},
            "disk": {"used": usage.disk, "limit": limits.disk},
            "tasks": {"used": usage.tasks, "limit": limits.tasks},
            "call_time": {"used": seconds, "limit": self.launch.call_time},
        }

    def _shape(self, rows: Rows) -> dict[str, Any]:
        table = self.launch.tables[rows.table]
        dtypes = {
            column["name"]: str(block.get("dtype", block["kind"]))
            for column in table["columns"]
            for block in (table["blocks"][column["block"]],)
        }
        return {"rows": rows.stop - rows.start, "dtypes": dtypes}

    def put_resources(self, version: Version) -> None:
        """Let the next call start from a version of resources."""
        self.version = version
        if self._workspace is None or self._template is None:
            return
        self._template.process.pause()
        try:
            self._workspace.put_resources(version)
        except (TreeError, OSError):
            self.close()  # the next call starts afresh, from this version
        else:
            self._template.process.resume()

    def close(self) -> None:
        """Kill what runs; the next call would start afresh."""
        if self._ahead is not None:
            self._ahead.connection.close()
            self._ahead = None
        if self._template is not None:
            template, self._template = self._template, None
            if self._workspace is not None:
                self._workspace.close()
                self._workspace = None
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
        if found is None or found.unusable:
            there = ", ".join(loaded.callables) or "none"
            what = found.unusable if found else f"was not found in {main}"
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
            code = self._exit_code(child) if isinstance(error, Closed) else None
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
        ahead = self._await_ahead()
        keep = (template.pid, ahead.pid) if ahead else (template.pid,)
        template.process.pause()  # so that nothing changes under the engine's hand
        swept = template.process.sweep(keep=keep)
        self.version = workspace.take_resources()
        reusable = swept and self.forks and (ahead is not None) and workspace.clean()
        template.process.resume()
        template.watch.drain()
        self.log.finish()
        if not reusable:
            self.close()

    def _await_ahead(self) -> Child | None:
        """Return the child that waits for the next call; without one the sandbox is of no more use."""
        if self._ahead is None or self._template is None:
            return None
        try:
            self._template.wait_ready(self._ahead, time.monotonic() + _AHEAD_SECONDS)
        except (Closed, TimedOut, Overrun, wire.WireError):
            self._ahead.connection.close()
            self._ahead = None
        return self._ahead

    def _exit_code(self, child: Child) -> int | None:
        assert self._template is not None
        return self._template.exit_code(child) if self.forks else self._template.own_code()

    def _describe(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Rows):
            assert self._template is not None
            return self.release.describe(value, self._template.process.inside(RELEASED))
        return {"column": value.name} if isinstance(value, ColumnValue) else {"json": value}

    def _on_beat(self) -> None:
        self._beat(self.usage())
