"""Programs in the host's own namespaces: started by the launcher, in private directories."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import PlatformError
from . import cgroup, place, processes
from .bounds import Bounds
from .disk import SampledDisk
from .hierarchy import Hierarchy
from .identity import SANDBOX_UID, engine_is_root, readable_by_sandbox, sandbox_user
from .place import Place
from .port import Limits, Program
from .running import Running, Started
from .spawn import spawn
from .watchdog import Watchdog

_START_SECONDS = 20.0
_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What the launcher applies to the program before it runs."""

    seccomp: bytes = b""
    landlock: dict[str, Any] | None = None


def start(program: Program, confine: Callable[[Place], Confinement]) -> Running:
    """Start a program below the launcher.

    Raises PlatformError when it cannot be started.
    """
    _check_sources(program)
    home = place.make(program)
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reader, False)
    try:
        config = _config(program, home, confine(home), theirs.fileno())
        return _launch(program, home, config, (ours, theirs), (reader, writer))
    except BaseException:
        if ours.fileno() != -1:  # else what was started has been killed, and closed all of them
            ours.close()
            os.close(reader)
            home.remove()
        raise
    finally:
        theirs.close()
        os.close(writer)


def _check_sources(program: Program) -> None:
    for mount in program.mounts:
        if not mount.source.exists():
            raise PlatformError(
                f"'{mount.source}' cannot be given to the sandbox: it is not there", cause="start"
            )
        if engine_is_root() and not readable_by_sandbox(mount.source):
            raise PlatformError(
                f"'{mount.source}' cannot be read by the sandbox's user (uid {SANDBOX_UID}); this sandbox "
                "has no mounts, so put it below directories that every user may pass (or run the engine as a "
                "user without privileges)",
                cause="start",
            )


def _config(program: Program, home: Place, confinement: Confinement, control: int) -> dict[str, Any]:
    argv = [home.translate(word.replace("{control}", str(control))) for word in program.argv]
    environment = {name: home.translate(value) for name, value in program.environment.items()}
    return {
        "argv": argv,
        "environment": {**environment, "TMPDIR": str(home.temporary)},
        "directory": str(home.workspace),
        "control": control,
        "user": list(sandbox_user()) if engine_is_root() else None,
        "limits": _limits(program.limits),
        "seccomp": confinement.seccomp.hex(),
        "landlock": confinement.landlock,
    }


def _limits(limits: Limits) -> dict[str, int]:
    bounds = {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": limits.descriptors,
        "RLIMIT_FSIZE": max(limits.disk, limits.temporary),
    }
    if not isinstance(cgroup.available(), Hierarchy):
        # It counts all of the user's tasks, so what runs now is added: a brake on fork bombs, not a bound.
        # With control groups it would let one sandbox starve another of the same user.
        bounds["RLIMIT_NPROC"] = limits.tasks + _tasks_of(sandbox_user()[0]) + 1
    return bounds


def _tasks_of(uid: int) -> int:
    total = 0
    for pid in processes.everything():
        with suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == uid:
                total += processes.threads(pid)
    return total


def _launch(
    program: Program,
    home: Place,
    config: dict[str, Any],
    sockets: tuple[socket.socket, socket.socket],
    pipe: tuple[int, int],
) -> Running:
    file = os.memfd_create("config")
    os.write(file, json.dumps(config).encode())
    os.lseek(file, 0, os.SEEK_SET)
    blocked, go = os.pipe2(os.O_CLOEXEC)
    status, told = os.pipe2(os.O_CLOEXEC)
    try:
        argv = [sys.executable, "-I", "-S", str(_LAUNCHER), str(file), str(blocked), str(told)]
        passed = [file, blocked, told, sockets[1].fileno()]
        launcher = spawn(argv, environment={}, descriptors=passed, output=pipe[1], as_sandbox=False)
        for descriptor in (file, blocked, told):
            os.close(descriptor)
        return _release(program, home, launcher, sockets[0], pipe[0], go, status)
    except OSError as error:
        raise PlatformError(f"the launcher could not be started: {error}", cause="start") from error
    finally:
        os.close(go)
        os.close(status)


def _release(
    program: Program,
    home: Place,
    launcher: subprocess.Popen[bytes],
    control: socket.socket,
    reader: int,
    go: int,
    status: int,
) -> Running:
    """Bound the launcher, let it start the program, and hear how that went."""
    members = partial(processes.descendants, launcher.pid)
    found = cgroup.available()
    bounds: Bounds
    if isinstance(found, Hierarchy):
        bounds = cgroup.Cgroup(found, program.limits)
    else:
        end = partial(_kill, launcher, lambda: None)
        bounds = Watchdog(program.limits, members=members, files=lambda: 0, kill=end)
    kill = partial(_kill, launcher, bounds.members)
    spaces = [(home.workspace, program.limits.disk), (home.temporary, program.limits.temporary)]
    running = Running(
        Started(
            program=program,
            launcher=launcher,
            init=launcher.pid,
            members=members,
            control=control,
            output=reader,
            bounds=bounds,
            disk=SampledDisk(spaces, kill),
            layout=home.layout(program),
            kill=kill,
            free=home.remove,
        )
    )
    try:
        bounds.enter(launcher.pid)
        os.write(go, b"1")
        ready = select.select([status], [], [], _START_SECONDS)[0]
        said = os.read(status, 4096).decode(errors="replace") if ready else "it did not come up in time"
    except BaseException:
        running.kill()
        raise
    if said:
        running.kill()
        raise PlatformError(f"the program could not be started: {said}", cause="start")
    return running


def _kill(launcher: subprocess.Popen[bytes], listed: Callable[[], Any]) -> None:
    """End all by the launcher, which finds each descendant; first what the control group lists."""
    for pid in listed() or ():
        if pid != launcher.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, 9)
    launcher.terminate()
    limit = time.monotonic() + 0.05
    while launcher.poll() is None and time.monotonic() < limit:
        time.sleep(0.001)
