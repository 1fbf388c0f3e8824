"""The bubblewrap adapter: namespaces of its own for everything, and a file system made for the program."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..errors import PlatformError
from . import cgroup, filesystem, processes, seccomp
from .bounds import Bounds
from .disk import MountedDisk
from .executable import find_bubblewrap
from .hierarchy import Hierarchy
from .port import Capabilities, Guard, Limits, Program, Strength
from .probe import end_of
from .reach import reachable
from .rlimits import limited, tasks_by_rlimit
from .running import Layout, Running, Started
from .spawn import spawn
from .watchdog import Watchdog

_START_SECONDS = 20.0
_INODE = 1024  # bytes of the kernel's memory for a file, an empty one too


class Bubblewrap:
    """Starts programs in bubblewrap."""

    name = "bubblewrap"

    def __init__(self) -> None:
        self._capabilities: Capabilities | None = None

    def capabilities(self) -> Capabilities:
        """Return what this machine allows, found out by starting a program once."""
        if self._capabilities is None:
            self._capabilities = _probe(self)
        return self._capabilities

    def start(self, program: Program) -> Running:
        """Start a program.

        Raises PlatformError when it cannot be started.
        """
        executable = find_bubblewrap()
        ours, theirs = socket.socketpair()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        try:
            with reachable(program.mounts) as mounts:
                files = filesystem.build(program, mounts)
                try:
                    return _Attempt(program, executable, files, theirs.fileno(), writer).run(ours, reader)
                finally:
                    files.close()
        except BaseException:
            ours.close()
            os.close(reader)
            raise
        finally:
            theirs.close()
            os.close(writer)


class _Attempt:
    """One start: bubblewrap waits with everything set up until its child is bounded."""

    def __init__(
        self, program: Program, executable: str, files: filesystem.FileSystem, control: int, output: int
    ) -> None:
        self.program = program
        self.place = cgroup.available()
        self.descriptors = [*files.descriptors, control]
        self.executable = executable
        self.output = output
        self.info, info = os.pipe2(os.O_CLOEXEC)
        block, self.block = os.pipe2(os.O_CLOEXEC)
        bounded = isinstance(self.place, Hierarchy)
        rules = _file("seccomp", seccomp.program(shared_memory=bounded))
        words = [*_namespaces(), *_variables(program.environment), *files.arguments]
        words += ["--chdir", program.workspace, "--seccomp", str(rules)]
        words += ["--info-fd", str(info), "--block-fd", str(block)]
        arguments = _file("arguments", b"".join(os.fsencode(word) + b"\0" for word in words))
        self.passed = [info, block, rules, arguments]
        argv = [word.replace("{control}", str(control)) for word in program.argv]
        self.argv = [executable, "--args", str(arguments), "--", *limited(argv, program.limits)]

    def run(self, ours: socket.socket, reader: int) -> Running:
        """Start it, bound it, let it go."""
        launcher = None
        try:
            try:
                launcher = spawn(
                    self.argv,
                    environment={},
                    descriptors=[*self.descriptors, *self.passed],
                    output=self.output,
                )
            finally:
                for descriptor in self.passed:
                    os.close(descriptor)
            return self._release(launcher, ours, reader)
        except OSError as error:
            if launcher is not None:
                launcher.kill()
                launcher.wait()
            raise PlatformError(f"bubblewrap could not be started: {error}", cause="start") from error
        finally:
            os.close(self.info)
            os.close(self.block)

    def _release(self, launcher: subprocess.Popen[bytes], ours: socket.socket, reader: int) -> Running:
        init = self._read_init(launcher, reader)
        handle = os.pidfd_open(init)
        kill = partial(_kill, handle, launcher)
        layout = _layout(init, self.program)
        members = partial(processes.descendants, init)
        bounds: Bounds | None = None
        try:
            if not isinstance(self.place, Hierarchy) and tasks_by_rlimit():
                bound = self.program.limits.tasks + 1
                resource.prlimit(init, resource.RLIMIT_NPROC, (bound, bound))
            if isinstance(self.place, Hierarchy):
                bounds = cgroup.Cgroup(self.place, self.program.limits)
            else:
                files = partial(_bytes_in_memory, init, tuple(layout.outside.values()))
                bounds = Watchdog(self.program.limits, members=members, files=files, kill=kill)
            bounds.enter(init)
            os.write(self.block, b"1")
            self._await_program(launcher, init, reader)
            disk = MountedDisk(layout.outside[self.program.workspace], self.program.limits.disk)
        except BaseException:
            kill()
            os.close(handle)
            launcher.wait()
            if bounds is not None:
                bounds.close()
            raise
        return Running(
            Started(
                program=self.program,
                launcher=launcher,
                init=init,
                members=members,
                control=ours,
                output=reader,
                bounds=bounds,
                disk=disk,
                layout=layout,
                kill=kill,
                free=partial(os.close, handle),
            )
        )

    def _await_program(self, launcher: subprocess.Popen[bytes], init: int, reader: int) -> None:
        """Wait until the sandbox is made and another program than bubblewrap runs in it.

        Before that the init's root is the host's: nothing may be reached through it.
        """
        own, limit = os.path.basename(self.executable)[:15], time.monotonic() + _START_SECONDS
        while all(processes.name(child) in (own, None) for child in processes.children(init)):
            if launcher.poll() is not None:
                said = _printed(reader)
                os.write(self.output, said.encode())  # for whoever reads it later
                if launcher.returncode == 1 and said.startswith("bwrap: "):
                    raise PlatformError(f"bubblewrap could not make the sandbox: {said}", cause="start")
                return
            if time.monotonic() > limit:
                raise PlatformError("bubblewrap did not make the sandbox in time", cause="start")
            time.sleep(0.0003)

    def _read_init(self, launcher: subprocess.Popen[bytes], reader: int) -> int:
        """Return the host pid of the sandbox's init, as bubblewrap tells it."""
        text, limit = b"", time.monotonic() + _START_SECONDS
        while not text.rstrip().endswith(b"}"):
            left = limit - time.monotonic()
            ready = select.select([self.info], [], [], max(0.0, left))[0]
            piece = os.read(self.info, 4096) if ready else b""
            if not piece:
                launcher.kill()
                launcher.wait()
                said = _printed(reader) or ("it did not come up in time" if left <= 0 else "it said nothing")
                raise PlatformError(f"bubblewrap could not make the sandbox: {said}", cause="start")
            text += piece
        return int(json.loads(text)["child-pid"])


def _namespaces() -> list[str]:
    return [
        "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net",
        "--unshare-cgroup-try", "--disable-userns", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL", "--hostname", "sandbox",
        "--uid", str(filesystem.UID), "--gid", str(filesystem.GID),
    ]  # fmt: skip


def _variables(environment: Mapping[str, str]) -> list[str]:
    return [word for name, value in environment.items() for word in ("--setenv", name, value)]


def _file(name: str, data: bytes) -> int:
    """Return a descriptor from which data are read; more than a pipe holds."""
    descriptor = os.memfd_create(name)
    with open(os.dup(descriptor), "wb") as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _layout(init: int, program: Program) -> Layout:
    root = Path(f"/proc/{init}/root")
    writable = (program.workspace, "/tmp", "/dev/shm")
    return Layout(inside={}, outside={path: root / path.lstrip("/") for path in writable})


def _bytes_in_memory(init: int, directories: tuple[Path, ...]) -> int:
    """Return what the sandbox's file systems hold: nothing while its root is still the host's."""
    with suppress(OSError):
        if os.path.samestat(os.stat(f"/proc/{init}/root"), os.stat("/")):
            return 0
    total = 0
    for directory in directories:
        with suppress(OSError):
            found = os.statvfs(directory)
            total += (found.f_blocks - found.f_bfree) * found.f_frsize
            total += (found.f_files - found.f_ffree) * _INODE
    return total


def _kill(handle: int, launcher: subprocess.Popen[bytes]) -> None:
    """Kill the init: the kernel then kills all of its pid namespace."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    if launcher.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            launcher.wait(timeout=0.05)  # so that it tells how the program ended
        launcher.kill()


def _printed(reader: int) -> str:
    try:
        return os.read(reader, 4096).decode(errors="replace").strip()[-1000:]
    except OSError:
        return ""


def _probe(sandbox: Bubblewrap) -> Capabilities:
    limits = Limits(memory=1 << 28, tasks=16, disk=1 << 20, temporary=1 << 20)
    program = Program(argv=("/bin/sh", "-c", "exit 7"), environment={}, mounts=(), limits=limits)
    said = end_of(sandbox, program, expected=7)
    if said is not None:
        return Capabilities(adapter=sandbox.name, available=False, reason=_explain(said))
    return Capabilities(adapter=sandbox.name, available=True, guards=_guards(), absent=_absent())


def _guards() -> dict[Guard, Strength]:
    bounded = isinstance(cgroup.available(), Hierarchy)
    guards: dict[Guard, Strength] = dict.fromkeys(
        ("network", "files", "metadata", "processes", "ipc", "environment", "disk", "kill", "identity"),
        "enforced",
    )
    if seccomp.supported():
        guards["kernel"] = "enforced"
    guards["memory"] = "enforced" if bounded else "sampled"
    guards["tasks"] = "enforced" if bounded or tasks_by_rlimit() else "sampled"
    return guards


def _absent() -> dict[Guard, str]:
    if seccomp.supported():
        return {}
    return {"kernel": f"there is no filter of system calls for the machine type '{os.uname().machine}'"}


def _explain(said: str) -> str:
    """Return bubblewrap's message with what is known to help."""
    restriction = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    with suppress(OSError):
        if restriction.read_text().strip() == "1":
            return (
                f"AppArmor restricts unprivileged user namespaces on this system ({said}); root allows them "
                "for bubblewrap with a profile, or for all by "
                "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
            )
    if "ermission denied" in said or "not permitted" in said:
        return f"this machine does not let the sandbox's user make namespaces ({said})"
    return said
