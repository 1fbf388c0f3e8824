"""An exception of the submission as plain data: type, text, and frames with the participant's own marked."""

from __future__ import annotations

import errno
import traceback
from typing import Any

TEXT_LIMIT = 8000
FRAME_LIMIT = 60
CHAIN_LIMIT = 5
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def describe(error: BaseException, *, own: str, runner: str) -> dict[str, Any]:
    """Return the error and its causes; `own` is the submission's directory, `runner` that of this package."""
    chain: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(chain) < CHAIN_LIMIT:
        chain.append(_describe_one(current, own, runner))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return {"cause": _cause(error), "chain": chain}


def _describe_one(error: BaseException, own: str, runner: str) -> dict[str, Any]:
    frames = []
    for frame in traceback.extract_tb(error.__traceback__, limit=-FRAME_LIMIT):
        if frame.filename.startswith(runner):
            continue
        mine = frame.filename.startswith(own + "/")
        frames.append(
            {
                "file": frame.filename[len(own) + 1 :] if mine else frame.filename,
                "line": frame.lineno or 0,
                "function": frame.name,
                "source": (frame.line or "")[:200],
                "own": mine,
            }
        )
    return {"type": type(error).__qualname__[:200], "text": _text(error), "frames": frames}


def _text(error: BaseException) -> str:
    try:
        if isinstance(error, SyntaxError):
            return "".join(traceback.format_exception_only(error))[:TEXT_LIMIT].strip()
        return str(error)[:TEXT_LIMIT]
    except Exception as failure:  # a __str__ that raises
        return f"(its text raised {type(failure).__name__})"


def _cause(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out-of-memory"
    if isinstance(error, SystemExit):
        return "exit"
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return "out-of-disk"
    if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN:
        return "too-many-processes"
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "too-many-processes"
    return "exception"
