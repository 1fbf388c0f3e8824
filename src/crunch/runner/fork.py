"""Whether the process, with the submission imported, may be forked for each call."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading

PROBE_SECONDS = 1.0


def fork_obstacle(threads_before: int) -> str | None:
    """Return why calls need a fresh process each, None when a fork serves.

    A fork hangs where the parent has used OpenMP, and breaks an initialised GPU and live threads.
    """
    if not hasattr(os, "fork"):
        return "this system has no fork"
    if threading.active_count() > threads_before:
        return "the import left threads running"
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # a directory called torch is a module too
    if cuda is not None and cuda.is_initialized():
        return "the import initialised a GPU"
    hung = _hanging_runtime()
    return f"the import used OpenMP ({hung})" if hung else None


def _hanging_runtime() -> str | None:
    for path in _openmp_runtimes():
        if not _parallel_region_ends(path):
            return os.path.basename(path)
    return None


def _openmp_runtimes() -> list[str]:
    names = ("libgomp", "libomp", "libiomp")
    found: dict[str, None] = {}
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            for line in maps:
                path = line.split(maxsplit=5)[5].strip() if line.count(" ") >= 5 and "/" in line else ""
                if os.path.basename(path).startswith(names):
                    found[path] = None
    except OSError:
        return []
    return list(found)


def _parallel_region_ends(path: str) -> bool:
    """Run a parallel region of two threads that do nothing (free of NULL) in a fork, and see it end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            runtime = ctypes.CDLL(path)
            nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)
            runtime.GOMP_parallel(nothing, None, ctypes.c_uint(2), ctypes.c_uint(0))
            os.write(writer, b"1")
        finally:
            os._exit(0)
    os.close(writer)
    ended = bool(select.select([reader], [], [], PROBE_SECONDS)[0]) and os.read(reader, 1) == b"1"
    os.close(reader)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return ended
