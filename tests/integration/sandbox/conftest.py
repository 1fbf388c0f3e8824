"""Programs for sandboxes: small Python texts that talk over the control socket, line by line."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opencrunch.sandbox.identity import engine_is_root
from opencrunch.sandbox.port import Limits, Mount, Process, Program, Sandbox
from opencrunch.sandbox.select import NAMES, select

MIB = 1 << 20
LIMITS = Limits(memory=192 * MIB, tasks=24, disk=8 * MIB, temporary=32 * MIB)
PRELUDE = """
import ctypes, os, signal, socket, subprocess, sys, threading, time
control = socket.socket(fileno=int(sys.argv[1]))
lines = control.makefile("rw", buffering=1)
def say(text): print(text, file=lines, flush=True)
def hear(): return lines.readline().rstrip("\\n")
"""


def available() -> list[str]:
    """Return the names of the adapters that work here."""
    return [name for name in NAMES if select(name).capabilities().available]


def interpreter() -> str:
    """Return a Python that the sandbox's user reaches without mounts, else the one that runs the tests."""
    system = "/usr/bin/python3"
    return system if engine_is_root() and os.path.exists(system) else sys.executable


@dataclass
class Talk:
    """A started program and the lines exchanged with it."""

    process: Process
    lines: socket.SocketIO | None = None
    buffer: bytearray = field(default_factory=bytearray)

    def hear(self, seconds: float = 20.0) -> str:
        """Return the next line, empty at the end."""
        self.process.control.settimeout(seconds)
        while b"\n" not in self.buffer:
            try:
                piece = self.process.control.recv(1 << 16)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return ""
            self.buffer += piece
        line, _, rest = self.buffer.partition(b"\n")
        self.buffer = bytearray(rest)
        return line.decode()

    def say(self, text: str) -> None:
        """Send a line."""
        self.process.control.sendall(f"{text}\n".encode())

    def wait(self, seconds: float = 20.0) -> int | None:
        """Return how the program ended."""
        wait_until(lambda: not self.process.alive(), seconds)
        return self.process.returncode()

    def printed(self) -> str:
        """Return what is in the output pipe."""
        try:
            return os.read(self.process.output, 1 << 16).decode()
        except BlockingIOError:
            return ""


Start = Callable[..., Talk]


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until a condition holds; raises AssertionError where it never does."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.005)


def program(
    code: str,
    *,
    mounts: tuple[Mount, ...] = (),
    limits: Limits = LIMITS,
    environment: dict[str, str] | None = None,
) -> Program:
    """Return a program from its text; a virtual environment's interpreter finds its library beside itself."""
    python = interpreter()
    real = os.path.realpath(python)
    return Program(
        argv=(real, "-I", "-S", "-c", PRELUDE + code, "{control}"),
        environment={"LC_ALL": "C.UTF-8"} if environment is None else environment,
        mounts=mounts,
        limits=limits,
    )


@pytest.fixture(params=available())
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each adapter that works on this machine."""
    return select(request.param)


@pytest.fixture
def start(sandbox: Sandbox) -> Iterator[Start]:
    """Start programs that are killed at the end of the test."""
    started: list[Process] = []

    def _start(code: str, **options: object) -> Talk:
        process = sandbox.start(program(code, **options))  # type: ignore[arg-type]
        started.append(process)
        return Talk(process)

    yield _start
    for process in started:
        process.kill()


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a directory that every user can read."""
    import shutil
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix="conformance-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
