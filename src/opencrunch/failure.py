"""Why a call failed, told from evidence: what the runner said, how the process ended, which limit was hit."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

from opencrunch.connection import Closed, TimedOut, Watch
from opencrunch.errors import CallError
from opencrunch.sandbox.port import Exceeded

Key = int | str | None


def call_error(described: Mapping[str, Any], *, watch: Watch, function: str | None, key: Key) -> CallError:
    """Return the error of an exception that the runner described.

    A limit that was hit meanwhile, by evidence from outside, explains an exception better than its type.
    """
    first = described["chain"][0]
    evidence = watch.exceeded()
    cause = evidence.cause if evidence is not None else described["cause"]
    text = f"{first['type']}: {first['text']}" if first["text"] else first["type"]
    message = f"{_where(function)} raised {text}"
    if cause == "exit":
        message = f"{_where(function)} ended the process with exit({first['text']}) instead of returning"
    elif evidence is not None:
        message = f"{message} ({_limit(evidence)})"
    elif cause == "too-many-processes":
        message = f"{message} (the limit of processes and threads was hit)"
    return CallError(
        message,
        cause=cause,
        function=function,
        key=key,
        traceback=render(described["chain"]),
        details={"own_traceback": render_own(described["chain"]), "type": first["type"]},
    )


def ended_error(
    error: Exception, code: int | None, *, watch: Watch, function: str | None, key: Key, timeout: float = 0.0
) -> CallError:
    """Return the error of a call whose result did not arrive whole."""
    evidence = watch.exceeded()
    where = _where(function)
    cause: str
    if evidence is not None:
        message, cause = f"{where} did not finish: {_limit(evidence)}", evidence.cause
    elif isinstance(error, TimedOut):
        message, cause = f"{where} did not finish in time ({timeout:.0f} s were left to it)", "out-of-time"
    elif not isinstance(error, Closed):
        message, cause = f"{where} broke the protocol: {error}", "protocol"
    elif code is not None and code < 0:
        message, cause = f"{where}'s process was killed by {_signal(-code)}", "killed"
    else:
        status = "an unknown status" if code is None else f"status {code}"
        message, cause = f"{where}'s process ended with {status} before its result was there", "exit"
    return CallError(message, cause=cause, function=function, key=key, details={"exit_code": code})


def render(chain: Sequence[Mapping[str, Any]]) -> str:
    """Return a traceback with the participant's own frames first, then those of libraries."""
    parts = []
    for link in reversed(chain):
        own = [_frame(frame) for frame in link["frames"] if frame["own"]]
        others = [_frame(frame) for frame in link["frames"] if not frame["own"]]
        inner = ["  in libraries:", *others] if own and others else others
        parts.append("\n".join(["Traceback, innermost call last:", *own, *inner, _headline(link)]))
    return "\n\n".join(parts)


def render_own(chain: Sequence[Mapping[str, Any]]) -> str:
    """Return what a participant may see while hidden data are in play: types, own files and lines."""
    parts = []
    for link in reversed(chain):
        own = [f"  {frame['file']}, line {frame['line']}, in {frame['function']}"
               for frame in link["frames"] if frame["own"]]  # fmt: skip
        parts.append("\n".join([*own, link["type"]]))
    return "\n\n".join(parts)


def _frame(frame: Mapping[str, Any]) -> str:
    source = f"\n    {frame['source']}" if frame["source"] else ""
    return f"  {frame['file']}, line {frame['line']}, in {frame['function']}{source}"


def _headline(link: Mapping[str, Any]) -> str:
    return f"{link['type']}: {link['text']}" if link["text"] else str(link["type"])


def _where(function: str | None) -> str:
    return f"{function}()" if function else "the import of the submission"


def _limit(evidence: Exceeded) -> str:
    what = {
        "out-of-memory": "bytes of memory",
        "out-of-disk": "bytes of disk",
        "too-many-processes": "processes and threads",
    }[evidence.cause]
    return f"the limit of {evidence.limit:,} {what} was hit"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
