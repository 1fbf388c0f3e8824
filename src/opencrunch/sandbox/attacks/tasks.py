"""Attacks on the number of processes and threads; 300 stand for a bomb, so that a control is harmless."""

from __future__ import annotations

from .attack import OUT_OF_TASKS, attack
from .inside import Given, attempt, hold, os, reached, spawn, threading, time, word_of

HELD = OUT_OF_TASKS | {"ENOMEM", "out-of-memory"}


@attack("tasks", HELD, timeout=20)
def fork_many(given: Given) -> str:
    """Fork without end."""
    word = attempt(lambda: [spawn() for _ in range(given["many"])])
    return hold() if word == "succeeded" else word


@attack("tasks", HELD, timeout=20)
def fork_many_daemons(given: Given) -> str:
    """Fork without end, each twice and in a session of its own, so that none is anybody's child."""
    receiving, sending = os.pipe()

    def detach() -> None:
        os.setsid()
        try:
            spawn()
        except OSError as error:
            os.write(sending, f"{word_of(error)}\n".encode())
            os._exit(1)
        os._exit(0)

    for _ in range(given["many"]):
        pid = spawn(detach)
        if os.waitpid(pid, 0)[1]:
            return os.read(receiving, 100).decode().strip()
    return hold()


@attack("tasks", HELD, timeout=20)
def start_many_threads(given: Given) -> str:
    """Start threads without end."""
    threading.stack_size(1 << 16)
    stay = threading.Event()

    def start() -> None:
        for _ in range(given["many"]):
            try:
                threading.Thread(target=stay.wait, args=(30,), daemon=True).start()
            except RuntimeError as error:  # "can't start new thread" hides the errno
                raise BlockingIOError(11, str(error)) from error

    word = attempt(start)
    return hold() if word == "succeeded" else word


@attack("tasks", HELD, timeout=20)
def fork_from_every_child(given: Given) -> str:
    """Fork so that every child forks again: the bomb that doubles."""
    receiving, sending = os.pipe()

    def grow(levels: int) -> None:
        for level in range(levels):
            try:
                spawn(lambda level=level: grow(levels - level - 1))  # type: ignore[misc]
            except OSError as error:
                os.write(sending, f"{word_of(error)}\n".encode())
                return
        time.sleep(0)

    grow(8)  # 256 processes
    os.set_blocking(receiving, False)
    time.sleep(2)
    try:
        return reached(os.read(receiving, 1 << 16).decode().split())
    except BlockingIOError:
        return "succeeded"
