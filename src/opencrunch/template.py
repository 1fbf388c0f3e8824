"""One runner process, seen from the trusted side: start, boot, import, and a child for each call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crunch.columns import Columns
from opencrunch import wire
from opencrunch.connection import Closed, Connection, Overrun, TimedOut, Watch, socket_pair
from opencrunch.environment import Environment
from opencrunch.errors import CallError, PlatformError
from opencrunch.failure import call_error, ended_error
from opencrunch.inspection import Traces, leftovers, look
from opencrunch.log import Log
from opencrunch.release import TARGET as RELEASED
from opencrunch.sandbox.port import Limits, Mount, Process, Program, Sandbox
from opencrunch.submission.files import Submission

START_SECONDS = 60.0  # for an interpreter that imports numpy and pandas
RUNNER = "/opt/opencrunch/runner"
PACKAGES = "/opt/opencrunch/packages"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """All that starting a runner takes."""

    sandbox: Sandbox
    environment: Environment
    submission: Submission
    runner: Path  # a directory that holds the crunch package alone
    release: Path
    limits: Limits
    call_time: float
    names: Mapping[str, tuple[str, ...]]  # function -> names that have a value
    tables: Mapping[str, Any]
    columns: Columns
    variables: Mapping[str, str]
    gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class Function:
    """What the runner tells of one function of the submission."""

    wanted: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    unusable: str | None = None  # why it cannot be called


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What the import gave."""

    functions: Mapping[str, Function | None]
    callables: tuple[str, ...]
    seconds: float
    obstacle: str | None  # why a fork cannot serve calls


@dataclass(kw_only=True)
class Child:
    """A process that waits for one request."""

    identifier: int
    connection: Connection
    pid: int = 0
    ready: bool = False


class Template:
    """The process that imported the submission."""

    def __init__(self, launch: Launch, log: Log, beat: Callable[[], None]) -> None:
        self.launch = launch
        started = time.monotonic()
        self.process: Process = launch.sandbox.start(_program(launch))
        self.watch = Watch(self.process, log, beat)
        self.control = Connection(self.process.control, self.watch)
        self.pid = 0
        self.start_seconds = 0.0
        self._count = 0
        self._started = started

    def boot(self) -> None:
        """Tell the runner where things are; it has run nothing of the submission when this returns.

        Raises PlatformError where the runner does not come up.
        """
        launch, inside = self.launch, self.process.inside
        self.control.deadline = time.monotonic() + START_SECONDS
        try:
            self.control.send(
                wire.pack(
                    {
                        "op": "boot",
                        "main": launch.submission.main,
                        "site_packages": [inside(PACKAGES)],
                        "names": {name: list(names) for name, names in launch.names.items()},
                        "tables": dict(launch.tables),
                        "columns": launch.columns.to_json(),
                    }
                )
            )
            header = wire.read_header(self.control.read)
        except (Closed, TimedOut, Overrun, wire.WireError) as error:
            raise self._no_start(error) from error
        if header["op"] != "started":
            raise self._no_start(None)
        self.pid = self.process.tree()[0]
        self._before: Traces = look(self.pid)
        self.start_seconds = time.monotonic() - self._started

    def load(self, timeout: float) -> Loaded:
        """Import the submission; raises CallError where that fails."""
        allowed = min(timeout, self.launch.call_time)
        self.control.deadline = time.monotonic() + allowed
        try:
            self.control.send(wire.pack({"op": "import"}))
            header = wire.read_header(self.control.read)
        except (Closed, TimedOut, Overrun, wire.WireError) as error:
            raise self._failure(error, allowed) from error
        if header["op"] != "loaded":
            raise call_error(wire.read_failure(header), watch=self.watch, function=None, key=None)
        return self._read_loaded(header)

    def fork(self) -> Child:
        """Have a child made that waits for a request; it is not waited for."""
        return self._pass_socket("fork")

    def serve(self) -> Child:
        """Have the template itself serve one request, where a fork would not do."""
        child = self._pass_socket("serve")
        child.pid = self.pid
        return child

    def wait_ready(self, child: Child, deadline: float) -> None:
        """Wait until a child is there, and learn its pid from the kernel."""
        if child.ready:
            return
        child.connection.deadline = deadline
        prefix, pid = child.connection.read_with_sender(4)
        chunks = [prefix]

        def read(count: int) -> bytearray:
            return chunks.pop() if chunks else child.connection.read(count)

        if wire.read_header(read)["op"] != "ready":
            raise wire.WireError("a child that was not ready")
        child.pid = pid or child.pid
        child.ready = True

    def exit_code(self, child: Child) -> int | None:
        """Return how a child ended, as the template tells it (None where it cannot)."""
        self.control.deadline = time.monotonic() + 2.0
        try:
            self.control.send(wire.pack({"op": "wait", "id": child.identifier}))
            header = wire.read_header(self.control.read)
        except (Closed, TimedOut, Overrun, wire.WireError):
            return None
        code = header.get("code")
        return code if isinstance(code, int) and not isinstance(code, bool) else None

    def close(self) -> None:
        """Kill the sandbox and all in it."""
        self.watch.drain()
        self.process.kill()
        self.control.close()

    def _pass_socket(self, operation: str) -> Child:
        self._count += 1
        ours, theirs = socket_pair()
        self.control.deadline = time.monotonic() + START_SECONDS
        try:
            self.control.send(wire.pack({"op": operation, "id": self._count}), passed=theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return Child(identifier=self._count, connection=Connection(ours, self.watch))

    def _read_loaded(self, header: dict[str, Any]) -> Loaded:
        described = header.get("functions")
        functions = {
            name: _read_function(described.get(name) if isinstance(described, dict) else None)
            for name in self.launch.names
        }
        obstacle = header.get("fork_obstacle")
        reason = wire.clean(obstacle, 300) if isinstance(obstacle, str) else None
        listed = header.get("callables")
        return Loaded(
            functions=functions,
            callables=tuple(wire.clean(name, 100) for name in listed[:50])
            if isinstance(listed, list)
            else (),
            seconds=wire.read_seconds(header.get("seconds")),
            obstacle=reason or leftovers(self.process, self.pid, self._before),
        )

    def _failure(self, error: Exception, allowed: float) -> CallError:
        code = self.own_code() if isinstance(error, Closed) else None
        return ended_error(error, code, watch=self.watch, function=None, key=None, timeout=allowed)

    def own_code(self) -> int | None:
        """Return how the template itself ended, None where it has not within two seconds."""
        limit = time.monotonic() + 2.0
        while self.process.returncode() is None and time.monotonic() < limit:
            time.sleep(0.01)
        return self.process.returncode()

    def _no_start(self, error: Exception | None) -> PlatformError:
        self.watch.drain()
        code = self.process.returncode()
        self.close()
        why = f"it ended with status {code}" if code is not None else type(error).__name__
        return PlatformError(
            f"the runner did not start in the '{self.launch.sandbox.name}' sandbox ({why}); "
            "its output is in the log, and `crunch sandbox check` examines the sandbox",
            cause="start",
        )


def _read_function(described: Any) -> Function | None:
    if not isinstance(described, dict):
        return None
    if "unusable" in described:
        return Function(wanted=(), notes=(), unusable=wire.clean(described["unusable"], 300))
    wanted, notes = described.get("wanted"), described.get("notes")
    return Function(
        wanted=tuple(wire.clean(name, 200) for name in wanted[:200]) if isinstance(wanted, list) else (),
        notes=tuple(
            (wire.clean(note[0], 20), wire.clean(note[1], 1000))
            for note in (notes[:50] if isinstance(notes, list) else ())
            if isinstance(note, list) and len(note) == 2
        ),
    )


def _program(launch: Launch) -> Program:
    environment = launch.environment
    return Program(
        argv=(str(environment.interpreter), "-s", "-S", "-P", "-B", f"{RUNNER}/crunch/runner/__main__.py",
              "{control}"),
        environment=dict(launch.variables),
        mounts=(
            Mount(source=environment.prefix, target=str(environment.prefix)),
            Mount(source=environment.site_packages, target=PACKAGES),
            Mount(source=launch.runner, target=RUNNER),
            Mount(source=launch.release, target=RELEASED),
        ),
        limits=launch.limits,
        gpu=launch.gpu,
    )  # fmt: skip
