"""Attacks on endings: outliving a kill, and keeping the engine busy with output."""

from __future__ import annotations

import fcntl as _fcntl
import os as _os
import stat as _stat
import struct as _struct
import termios as _termios
import time as _time

from .attack import attack
from .inside import Given, os, signal, spawn, time
from .scene import Scene

_LOOKS = 10
_BUDGET = 4 << 20  # bytes that a host may hold for a program whose output nobody reads


def _gone(scene: Scene, *, within: float) -> bool:
    deadline = _time.monotonic() + within
    unseen = 0
    while unseen < _LOOKS:  # one look can miss a process that runs away
        unseen = 0 if scene.processes() else unseen + 1
        if unseen == 0 and _time.monotonic() > deadline:
            return False
        _time.sleep(0.01)
    return True


def _dies(scene: Scene, word: str) -> str:
    """Kill the sandbox and look for what is left of it after a second."""
    if word != "running":
        return word
    scene.running.kill()
    if _gone(scene, within=1.0):
        return "gone"
    return f"succeeded: {len(scene.processes())} processes a second later"


def _swept(scene: Scene, word: str) -> str:
    """Sweep all but the first process and look for others after a second."""
    if word != "running":
        return word
    first = scene.first
    if not scene.running.sweep((first,)):
        return _dies(scene, word)
    deadline = _time.monotonic() + 1.0
    while set(scene.processes()) - {first}:
        if _time.monotonic() > deadline:
            return "succeeded"
        _time.sleep(0.01)
    return "gone" if first in scene.processes() else "error: the first process went too"


def _output_is_bounded(scene: Scene, word: str) -> str:
    """Read nothing for a while, and look how much the host holds for the writer."""
    if word != "running":
        return word
    _time.sleep(0.7)
    status = _os.fstat(scene.running.output)
    if _stat.S_ISREG(status.st_mode):
        return "succeeded" if status.st_size > _BUDGET else "error: nothing written"
    waiting = _struct.unpack("i", _fcntl.ioctl(scene.running.output, _termios.FIONREAD, b"\0" * 4))[0]
    if waiting == 0:
        return "error: nothing written"
    if waiting > _BUDGET:
        return "succeeded"
    if _os.get_blocking(scene.running.output):
        return "error: the engine would wait for output"
    return _dies(scene, word)


@attack("kill", {"gone"}, look=_dies)
def ignore_every_signal(given: Given) -> str:
    """Spin in three processes that ignore every signal that can be ignored."""

    def spin() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            pass

    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGALRM}:
        signal.signal(number, signal.SIG_IGN)
    for _ in range(2):
        spawn(spin)
    return "running"


@attack("kill", {"gone"}, look=_dies)
def outlive_kill(given: Given) -> str:
    """Leave a process behind: forked twice, in a session of its own, with no descriptor kept."""
    receiving, sending = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.alarm(20)
            os.write(sending, b".")
            os.closerange(0, 1024)
            time.sleep(20)
        os._exit(0)
    os.read(receiving, 1)
    return "running"


@attack("kill", {"gone"}, look=_swept)
def outlive_call(given: Given) -> str:
    """Leave processes behind that are to meet the next call: a daemon, a stopped one, a child's child."""
    receiving, sending = os.pipe()

    def settle(action: str) -> None:
        signal.alarm(20)
        if action == "daemon":
            os.setsid()
        if os.fork() == 0:
            signal.alarm(20)
            os.write(sending, b".")
            if action == "stopped":
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(20)
        os._exit(0)

    for action in ("daemon", "stopped", "child"):
        spawn(lambda action=action: settle(action))  # type: ignore[misc]
    for _ in range(3):
        os.read(receiving, 1)
    return "running"


@attack("kill", {"gone"}, look=_dies)
def flee_from_kill(given: Given) -> str:
    """Run from one process into the next, so that a list of pids is old when it is made."""
    if os.fork() == 0:
        os.setsid()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if os.fork():
                os._exit(0)
            time.sleep(0.02)  # a look at /proc takes less: it is to see somebody
        os._exit(0)
    time.sleep(0.2)
    return "running"


@attack("kill", {"gone"}, look=_output_is_bounded)
def write_without_end(given: Given) -> str:
    """Print as fast as possible, in one line without end."""

    def write() -> None:
        for _ in range(1 << 9):  # 64 MiB, should anybody take it
            os.write(1, b"x" * (1 << 17))

    spawn(write)
    return "running"
