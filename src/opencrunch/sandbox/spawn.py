"""Starting a process of ours: only named descriptors, the sandbox's user, a parent thread that lasts."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .identity import SANDBOX_GID, SANDBOX_UID, engine_is_root

_Result = TypeVar("_Result")


def spawn(
    argv: Sequence[str],
    *,
    environment: dict[str, str],
    descriptors: Sequence[int],
    output: int,
    directory: str = "/",
    as_sandbox: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a process as the sandbox's user (or the engine's), both outputs to one descriptor.

    "Dies with its parent" means the thread that started it, so that is one that lives as long as the engine.
    Raises OSError.
    """
    options: dict[str, Any] = {
        "args": list(argv),
        "env": environment,
        "cwd": directory,
        "stdin": subprocess.DEVNULL,
        "stdout": output,
        "stderr": output,
        "pass_fds": tuple(descriptors),
        "start_new_session": True,
    }
    if as_sandbox and engine_is_root():
        options |= {"user": SANDBOX_UID, "group": SANDBOX_GID, "extra_groups": []}

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(**options)

    return in_lasting_thread(start)


def in_lasting_thread(function: Callable[[], _Result]) -> _Result:
    """Return what a function returns (or raises) in the thread from which sandboxes are started."""
    answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
    _requests().put((function, answers))
    worked, answer = answers.get()
    if not worked:
        raise answer
    result: _Result = answer
    return result


_lock = threading.Lock()
_running: list[tuple[threading.Thread, queue.SimpleQueue[Any]]] = []


def _requests() -> queue.SimpleQueue[Any]:
    with _lock:
        if not _running or not _running[-1][0].is_alive():  # none yet, or this is a fork of the engine
            requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
            thread = threading.Thread(target=_serve, args=(requests,), name="opencrunch-spawn", daemon=True)
            thread.start()
            _running.append((thread, requests))
        return _running[-1][1]


def _serve(requests: queue.SimpleQueue[Any]) -> None:
    while True:
        function, answers = requests.get()
        try:
            answers.put((True, function()))
        except BaseException as error:  # handed to the thread that asked
            answers.put((False, error))
