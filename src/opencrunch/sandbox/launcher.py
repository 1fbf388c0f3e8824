"""A process between the engine and a program without namespaces: it confines, collects, ends.

Runs by itself, as `python -I -S launcher.py CONFIG GO STATUS` (three descriptors), with the standard library
alone. It waits for a byte on GO, starts the program confined, and reports on STATUS what went wrong; STATUS
closes without a word when the program runs. All descendants that lose their parent become its children, so it
misses none. It ends as the program does, when nothing is left; on SIGTERM, or when the engine dies, it ends
all.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

_SET_PDEATHSIG, _SET_NO_NEW_PRIVS, _SET_SECCOMP, _SET_CHILD_SUBREAPER = 1, 38, 22, 36
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_SECCOMP_FILTER = 2
_ON_FILES = 0b1_0000_0000_0000_0110 | 1 << 14  # of the rights those that a rule on a file may give
_EXECUTE = 1


def main() -> None:
    """Start the program that CONFIG describes and stay until all of it is gone."""
    config_file, go, status = map(int, sys.argv[1:4])
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: _end_all())
    if sys.platform == "linux":
        libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        libc.prctl(_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent or os.read(go, 1) != b"1":
        sys.exit(1)
    with open(config_file, encoding="utf-8") as file:
        config: dict[str, Any] = json.load(file)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    program = os.fork()
    if program == 0:
        _become(config, status, libc)
    for descriptor in (go, status, config["control"], 1, 2):
        os.close(descriptor)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    while not ended:
        pid, code = os.waitpid(-1, 0)
        if pid == program:
            ended.append(os.waitstatus_to_exitcode(code))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    _kill_descendants()
    os._exit(ended[0] if ended[0] >= 0 else 128 - ended[0])


def _end_all() -> None:
    _kill_descendants()
    os._exit(128 + signal.SIGKILL)


def _kill_descendants() -> None:
    """Kill until nothing is left; first stopped, none can start others faster than it is found."""
    while True:
        known: set[int] = set()
        while new := set(_descendants(os.getpid())) - known:
            for pid in new:
                _send(pid, signal.SIGSTOP)
            known |= new
        for pid in known:
            _send(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _descendants(root: int) -> list[int]:
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                state = file.read().rpartition(b")")[2].split()[0]
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    todo += map(int, file.read().split())
        except OSError:
            continue
        if pid != root and state not in b"ZX":
            found.append(pid)
    return found


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _become(config: dict[str, Any], status: int, libc: ctypes.CDLL) -> None:
    """Confine this process and become the program; never returns."""
    step = "start"
    try:
        steps: list[tuple[str, Callable[[], None]]] = [
            ("close descriptors", lambda: _close_all_but({0, 1, 2, config["control"], status})),
            ("die with the launcher", lambda: _prctl(libc, _SET_PDEATHSIG, signal.SIGKILL)),
            ("bound itself", lambda: _limit(config["limits"])),
            ("enter the workspace", lambda: os.chdir(config["directory"])),
            ("give up the network and files", lambda: _restrict(libc, config["landlock"], config["user"])),
            ("filter system calls", lambda: _filter(libc, bytes.fromhex(config["seccomp"]))),
        ]
        for name, act in steps:
            step = name
            act()
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        step = f"run '{config['argv'][0]}'"
        os.set_inheritable(config["control"], True)
        os.set_inheritable(status, False)
        os.execve(config["argv"][0], config["argv"], config["environment"])
    except BaseException as error:
        os.write(status, f"it could not {step}: {error}".encode())
    os._exit(127)


def _close_all_but(keep: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:
                continue  # the one that listed them


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _restrict(libc: ctypes.CDLL, rules: dict[str, Any] | None, user: list[int] | None) -> None:
    """Open what Landlock's rules name, change user, and only then give up the rest."""
    ruleset = None if rules is None else _ruleset(libc, rules)
    if user is not None:
        os.setgroups([])
        os.setresgid(user[1], user[1], user[1])
        os.setresuid(user[0], user[0], user[0])
        _prctl(libc, _SET_PDEATHSIG, signal.SIGKILL)  # a change of user cleared it
    _prctl(libc, _SET_NO_NEW_PRIVS, 1)
    if ruleset is not None:
        _check(libc.syscall(_RESTRICT_SELF, ruleset, 0))
        os.close(ruleset)


def _ruleset(libc: ctypes.CDLL, rules: dict[str, Any]) -> int:
    handled = struct.pack("=QQQ", rules["files"], rules["network"], rules["scoped"])[: rules["size"]]
    ruleset = int(_check(libc.syscall(_CREATE_RULESET, handled, len(handled), 0)))
    for path, rights in rules["paths"]:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if not os.path.isdir(path):
            rights &= _ON_FILES | _EXECUTE
        rule = struct.pack("=Qi", rights & rules["files"], descriptor)
        _check(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0))
        os.close(descriptor)
    return ruleset


def _filter(libc: ctypes.CDLL, code: bytes) -> None:
    if not code:
        return
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    _prctl(libc, _SET_SECCOMP, _SECCOMP_FILTER, ctypes.c_char_p(program))


def _prctl(libc: ctypes.CDLL, option: int, value: int, more: Any = 0) -> None:
    _check(libc.prctl(option, ctypes.c_ulong(value), more, 0, 0))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    main()
