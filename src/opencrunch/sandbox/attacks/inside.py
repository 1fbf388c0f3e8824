"""What attacks use inside the sandbox. Sent there as source before each of them: standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import errno
import fcntl
import json
import mmap
import os
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# For the modules of attacks, whose functions find these names where they run.
__all__ = [  # noqa: RUF022
    "BAD", "Given", "MEBIBYTE", "NEW_USER", "attempt", "attempt_each", "child_says", "contextlib",
    "ctypes", "errno", "fcntl", "fill", "hold", "libc", "machine", "mmap", "os", "other_processes",
    "own_descriptors", "read", "re", "reached", "resource", "secret_in", "signal", "socket", "spawn",
    "stat", "struct", "subprocess", "sys", "syscall", "threading", "time", "word_of",
]  # fmt: skip

Given = dict[str, Any]
MEBIBYTE = 1 << 20
BAD = 1  # an address that no process has mapped
NEW_USER = 0x10000000  # CLONE_NEWUSER

libc = ctypes.CDLL(None, use_errno=True)
machine = os.uname().machine

# From the kernel's asm/unistd.h; a call that an architecture lacks is reported as ENOSYS.
_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "ioctl": 16, "shmget": 29, "shmat": 30, "shmctl": 31, "clone": 56, "semget": 64, "msgget": 68,
        "ptrace": 101, "syslog": 103, "personality": 135, "modify_ldt": 154, "pivot_root": 155,
        "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166,
        "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "iopl": 172, "ioperm": 173,
        "init_module": 175, "delete_module": 176, "quotactl": 179, "clock_settime": 227, "mq_open": 240,
        "kexec_load": 246, "add_key": 248, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
        "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308,
        "process_vm_readv": 310, "finit_module": 313, "memfd_create": 319, "kexec_file_load": 320,
        "bpf": 321, "userfaultfd": 323,
    },
    "aarch64": {
        "ioctl": 29, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60, "acct": 89,
        "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106,
        "clock_settime": 112, "syslog": 116, "ptrace": 117, "reboot": 142, "sethostname": 161,
        "settimeofday": 170, "adjtimex": 171, "mq_open": 180, "msgget": 186, "semget": 190, "shmget": 194,
        "shmctl": 195, "shmat": 196, "add_key": 217, "keyctl": 219, "clone": 220, "swapon": 224,
        "swapoff": 225, "perf_event_open": 241, "name_to_handle_at": 264, "open_by_handle_at": 265,
        "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270, "finit_module": 273,
        "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
    },
}  # fmt: skip
_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "pidfd_open": 434,
    "clone3": 435, "pidfd_getfd": 438, "mount_setattr": 442,
}  # fmt: skip
_SECRET = re.compile(rb"opencrunch-canary-[0-9a-f]{32}")


def syscall(name: str, *arguments: Any) -> int:
    """Make a system call past the C library; raises OSError as the kernel answers."""
    number = _EVERYWHERE.get(name, _NUMBERS.get(machine, {}).get(name))
    if number is None:
        raise OSError(errno.ENOSYS, f"{name} is not a call of {machine}")
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    ctypes.set_errno(0)
    libc.syscall.restype = ctypes.c_long
    result: int = libc.syscall(ctypes.c_long(number), *passed)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def word_of(error: BaseException) -> str:
    """Return the word for an error: the name of its errno."""
    if isinstance(error, MemoryError):
        return "ENOMEM"
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, f"errno-{error.errno}")
    return f"error: {type(error).__name__}: {error}"[:300]


def attempt(action: Callable[[], Any]) -> str:
    """Return "succeeded" where the action does not raise, else the word for its error."""
    try:
        action()
    except BaseException as error:
        return word_of(error)
    return "succeeded"


def reached(words: Iterable[str]) -> str:
    """Return the worst of several attempts: a success, else all that was seen, joined by "+"."""
    seen = sorted(set(words))
    return "succeeded" if "succeeded" in seen else "+".join(seen) or "hidden"


def attempt_each(items: Iterable[Any], action: Callable[[Any], Any]) -> str:
    """Return the worst of one action on several things."""
    return reached([attempt(lambda item=item: action(item)) for item in items])  # type: ignore[misc]


def own_descriptors() -> set[int]:
    """Return the descriptors that this process was given or made itself."""
    return {0, 1, 2, int(sys.argv[1]), *_LIFELINE}


def read(path: str, size: int = 1 << 16) -> bytes:
    """Return the start of a file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def secret_in(data: bytes) -> str:
    """Return "succeeded" where one of the secrets planted on the host is in the data, else "hidden"."""
    return "succeeded" if _SECRET.search(data) else "hidden"


def other_processes() -> list[int]:
    """Return the pids that /proc lists, without this process."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def child_says(action: Callable[[], str]) -> str:
    """Return the word of an action that runs in a child, or the signal that ended the child."""
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid == 0:
        word = "error: no word"
        with contextlib.suppress(BaseException):
            try:
                word = action()
            except BaseException as error:
                word = word_of(error)
            os.write(sending, word.encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as stream:
        word = stream.read().decode()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return word


def spawn(action: Callable[[], Any] | None = None) -> int:
    """Fork a child that acts, then stays until the attack's first process has gone (at most a minute)."""
    pid = os.fork()
    if pid:
        return pid
    with contextlib.suppress(BaseException):
        signal.alarm(60)
        with contextlib.suppress(OSError):  # a child's child finds it closed
            os.close(_LIFELINE[1])
        if action is not None:
            action()
        os.read(_LIFELINE[0], 1)
    os._exit(0)


def fill(write: Callable[[bytes], Any], total: int) -> None:
    """Give a writer a number of bytes, a mebibyte at a time; raises what it raises."""
    block = b"\xa5" * MEBIBYTE
    for _ in range(total // MEBIBYTE):
        write(block)


def hold() -> str:
    """Keep what was taken for a moment, so that a limit that is only sampled has its chance."""
    time.sleep(_HOLD if _guarded else 0)
    return "succeeded"


_HOLD = 2.0  # seconds
_guarded = True
_LIFELINE = (
    -1,
    -1,
)  # what `spawn` made waits on the first; the second closes with the attack's first process


def _lines(control: socket.socket) -> Iterator[bytes]:
    with control.makefile("rb") as stream:
        yield from stream


def main(attack: Callable[[Given], str]) -> None:
    """Say that the process is there, take what is given, attack, report a word, and stay until killed."""
    global _LIFELINE, _guarded
    control = socket.socket(fileno=int(sys.argv[1]))
    _LIFELINE = os.pipe()
    control.sendall(b"ready\n")
    given = json.loads(next(_lines(control)))
    _guarded = given["guarded"]
    try:
        word = attack(given)
    except BaseException as error:
        word = word_of(error)
    control.sendall(json.dumps({"word": word}).encode() + b"\n")
    with contextlib.suppress(OSError):
        control.recv(1)
