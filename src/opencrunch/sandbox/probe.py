"""Finding out what works by trying it once."""

from __future__ import annotations

import os
import time

from ..errors import PlatformError
from .port import Process, Program, Sandbox

_SECONDS = 20.0


def end_of(sandbox: Sandbox, program: Program, *, expected: int) -> str | None:
    """Return why a program did not end with the expected status, None where it did."""
    try:
        process = sandbox.start(program)
    except PlatformError as error:
        return error.message
    try:
        limit = time.monotonic() + _SECONDS
        while process.alive() and time.monotonic() < limit:
            time.sleep(0.001)
        code, said = process.returncode(), printed(process)
    finally:
        process.kill()
    return None if code == expected else said or f"a program in it ended with status {code}"


def printed(process: Process) -> str:
    """Return the end of what was printed so far."""
    try:
        return os.read(process.output, 1 << 16).decode(errors="replace").strip()[-1000:]
    except OSError:
        return ""
