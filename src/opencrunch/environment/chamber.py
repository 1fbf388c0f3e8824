"""Talking to a program of ours that runs in a sandbox: a request in, bounded bytes out, a deadline."""

from __future__ import annotations

import json
import os
import selectors
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..sandbox.port import Limits, Mount, Process, Program, Sandbox
from .interpreter import Interpreter

LONGEST_OUTPUT = 8192  # what is kept of what a program prints
_PIECE = 1 << 18

_LIMITS = Limits(memory=4 << 30, tasks=256, disk=1 << 28)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a program ended."""

    finished: bool  # it said all that it had to say
    timed_out: bool
    status: int | None  # negative: a signal
    output: str  # the end of what it printed


def converse(
    sandbox: Sandbox,
    source: str,
    interpreter: Interpreter,
    mounts: tuple[Mount, ...],
    request: Callable[[Process], dict[str, object]],
    consume: Callable[[bytearray], bool],
    *,
    seconds: float,
) -> Ending:
    """Run a program's source text in a sandbox without network, send a request, consume the answer.

    `request` is given the process, to name paths as the program sees them. `consume` takes what it can from
    the buffer and returns whether the answer is complete.
    """
    program = Program(
        argv=(str(interpreter.executable), "-I", "-S", "-B", "-X", "utf8", "-c", source, "{control}"),
        environment={"PATH": "/usr/bin:/bin", "HOME": "/work", "LC_ALL": "C.UTF-8"},
        mounts=(*interpreter_mounts(interpreter), *mounts),
        limits=_LIMITS,
    )
    process = sandbox.start(program)
    try:
        return _converse(process, json.dumps(request(process)).encode(), consume, time.monotonic() + seconds)
    finally:
        process.kill()


def interpreter_mounts(interpreter: Interpreter) -> tuple[Mount, ...]:
    """Return what a sandbox needs of an interpreter, at the same paths as outside."""
    folders = {interpreter.prefix, interpreter.exec_prefix}
    paths = (interpreter.executable, *(path for path in interpreter.paths if path.exists()))
    outside = {path for path in paths if not any(path.is_relative_to(folder) for folder in folders)}
    return tuple(Mount(source=path, target=str(path)) for path in sorted(folders | outside))


def source_of(name: str) -> str:
    """Return the text of a program in `inside`."""
    return (Path(__file__).parent / "inside" / f"{name}.py").read_text(encoding="utf-8")


def _converse(
    process: Process, request: bytes, consume: Callable[[bytearray], bool], deadline: float
) -> Ending:
    process.control.settimeout(max(1.0, deadline - time.monotonic()))
    try:
        process.control.sendall(struct.pack("<I", len(request)) + request)
    except OSError:
        output = _drain(process, b"")
        return Ending(finished=False, timed_out=False, status=_status(process), output=output)
    process.control.setblocking(False)
    buffer, printed, finished = bytearray(), b"", False
    with selectors.DefaultSelector() as chooser:
        chooser.register(process.control, selectors.EVENT_READ)
        chooser.register(process.output, selectors.EVENT_READ)
        while not finished and process.control in [key.fileobj for key in chooser.get_map().values()]:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            for key, _ in chooser.select(min(remaining, 1.0)):
                piece = _read(key.fd)
                if piece is None:
                    continue
                if not piece:
                    chooser.unregister(key.fileobj)
                elif key.fileobj is process.control:
                    buffer += piece
                    finished = consume(buffer)
                else:
                    printed = (printed + piece)[-LONGEST_OUTPUT:]
    timed_out = not finished and time.monotonic() >= deadline
    output = _drain(process, printed)
    return Ending(finished=finished, timed_out=timed_out, status=_status(process), output=output)


def _read(descriptor: int) -> bytes | None:
    """Return what can be read now: None for nothing yet, empty at the end."""
    try:
        return os.read(descriptor, _PIECE)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _drain(process: Process, printed: bytes) -> str:
    """Return the end of what was printed, with what is still in the pipe; bounded."""
    for _ in range(64):
        piece = _read(process.output)
        if not piece:
            break
        printed = (printed + piece)[-LONGEST_OUTPUT:]
    return printed.decode(errors="replace")


def _status(process: Process) -> int | None:
    """Return how the program ended; it had its last word, so its end is near."""
    for _ in range(50):
        status = process.returncode()
        if status is not None:
            return status
        time.sleep(0.01)
    return None
