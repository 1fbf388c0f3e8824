"""The filter of system calls: what a participant's code has no honest use for is refused by the kernel.

Refused means EPERM, as libraries expect it. The rest of a sandbox does not depend on the filter: it narrows
what an attack on the kernel itself can reach.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from .syscalls import Machine, number

_EPERM = 1
_ENOSYS = 38
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ARCHITECTURE: dict[Machine, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

# Offsets in struct seccomp_data; both machines are little-endian, so an argument's low half comes first.
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05
_IF_EQUAL, _IF_GREATER_EQUAL, _IF_ANY_BIT = 0x15, 0x35, 0x45

_DENIED = (
    # file systems and roots
    "mount", "umount2", "move_mount", "fsopen", "fsmount", "fsconfig", "fspick", "open_tree",
    "open_tree_attr", "mount_setattr", "pivot_root", "chroot", "quotactl", "quotactl_fd", "swapon", "swapoff",
    "name_to_handle_at", "open_by_handle_at", "fanotify_init", "fanotify_mark", "lookup_dcookie",
    "nfsservctl", "ustat",
    # namespaces, other processes
    "unshare", "setns", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd",
    "process_madvise", "process_mrelease",
    # the kernel
    "keyctl", "add_key", "request_key", "bpf", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "perf_event_open", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "create_module", "query_module", "get_kernel_syms", "reboot", "acct", "syslog", "uselib",
    "memfd_secret",
    # clocks, ports, machine state
    "clock_settime", "clock_adjtime", "settimeofday", "adjtimex", "iopl", "ioperm", "modify_ldt", "vhangup",
    "sethostname", "setdomainname",
    # sockets by name; a connected pair is all that there is, and a stream cannot send elsewhere
    "socket", "connect", "bind", "listen", "accept", "accept4",
    # where pages lie
    "mbind", "migrate_pages", "move_pages", "set_mempolicy_home_node",
)  # fmt: skip

# Landlock lets these reach files and processes outside; within namespaces they are harmless.
_DENIED_WITHOUT_NAMESPACES = (
    "shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop",
    "semctl", "mq_open", "mq_unlink",
    "setxattr", "lsetxattr", "removexattr", "lremovexattr", "setxattrat", "removexattrat",
    "chown", "lchown", "fchownat",
)  # fmt: skip

# ... and these where the sandbox's user owns files outside, for a path of any file would do.
_DENIED_BESIDE_OWN_FILES = (
    "chmod", "fchmodat", "fchmodat2", "utime", "utimes", "utimensat", "futimesat",
)  # fmt: skip

_CLONE_NEW = (
    0x00000080 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
)
_S_IFMT, _S_IFCHR, _S_IFBLK = 0xF000, 0x2000, 0x6000
_TERMINAL_REQUESTS = (0x5412, 0x541C, 0x540E)  # TIOCSTI, TIOCLINUX, TIOCSCTTY
_AF_UNIX = 1
_STREAMS = (1, 5)  # SOCK_STREAM, SOCK_SEQPACKET
_PERSONALITIES = (0, 0xFFFFFFFF)  # the plain one, and the question which it is


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition on one argument's low 32 bits under which a call is refused (or, inverted, let through)."""

    call: str
    argument: int
    test: Literal["equal", "any-bit"]
    values: tuple[int, ...]
    mask: int | None = None
    inverted: bool = False


_CONDITIONAL = (
    Rule(call="clone", argument=0, test="any-bit", values=(_CLONE_NEW,)),
    Rule(call="mknod", argument=1, test="equal", values=(_S_IFCHR, _S_IFBLK), mask=_S_IFMT),
    Rule(call="mknodat", argument=2, test="equal", values=(_S_IFCHR, _S_IFBLK), mask=_S_IFMT),
    Rule(call="ioctl", argument=1, test="equal", values=_TERMINAL_REQUESTS),
    Rule(call="socketpair", argument=0, test="equal", values=(_AF_UNIX,), inverted=True),
    # One end of a pair of datagram sockets could still send to any path; a raw one is the same.
    Rule(call="socketpair", argument=1, test="equal", values=_STREAMS, mask=0xF, inverted=True),
    Rule(call="personality", argument=0, test="equal", values=_PERSONALITIES, inverted=True),
)

_SEND_BUFFERS = (7, 32)  # SO_SNDBUF, SO_SNDBUFFORCE
_HIDDEN_MEMORY = ("memfd_create", "shmget")
_CONDITIONAL_ON_HIDDEN_MEMORY = (Rule(call="setsockopt", argument=2, test="equal", values=_SEND_BUFFERS),)

_ONLY_ITSELF = (
    ("prlimit64", 0), ("sched_setaffinity", 0), ("sched_setattr", 0), ("sched_setparam", 0),
    ("sched_setscheduler", 0), ("setpriority", 1), ("ioprio_set", 1),
)  # fmt: skip
_CONDITIONAL_WITHOUT_NAMESPACES = (
    *(Rule(call=call, argument=which, test="equal", values=(0,), inverted=True)
      for call, which in _ONLY_ITSELF),
)  # fmt: skip


def machine() -> Machine | None:
    """Return this machine's type where the filter knows it."""
    if sys.platform != "linux" or sys.byteorder != "little" or struct.calcsize("P") != 8:
        return None
    name = os.uname().machine
    return next((known for known in get_args(Machine) if known == name), None)


def supported() -> bool:
    """Return whether there is a filter for this machine."""
    return machine() is not None


def program(
    *,
    shared_memory: bool,
    namespaces: bool = True,
    foreign_files: bool = False,
    on: Machine | None = None,
) -> bytes:
    """Return the filter as an array of struct sock_filter.

    Without `shared_memory`, memory that no process's own count shows is refused (memfd, System V, large
    buffers of sockets); without `namespaces`, calls that reach beyond a sandbox that has none of its own; by
    `foreign_files`, those that change files of the same user by their path. On a machine that the filter
    does not know, it lets everything through.
    """
    on = on or machine()
    if on is None:
        return _instruction(_RETURN, _ALLOW)
    denied = list(_DENIED)
    rules: tuple[Rule, ...] = _CONDITIONAL
    if not shared_memory:
        denied += _HIDDEN_MEMORY
        rules += _CONDITIONAL_ON_HIDDEN_MEMORY
    if not namespaces:
        denied += _DENIED_WITHOUT_NAMESPACES
        rules += _CONDITIONAL_WITHOUT_NAMESPACES
    if foreign_files:
        denied += _DENIED_BESIDE_OWN_FILES
    return b"".join(
        [*_preamble(on), *_refusals(denied, on), *_conditions(rules, on), _instruction(_RETURN, _ALLOW)]
    )


def _preamble(on: Machine) -> Iterator[bytes]:
    yield _instruction(_LOAD, _ARCH)
    yield _instruction(_IF_EQUAL, _ARCHITECTURE[on], then=1)
    yield _instruction(_RETURN, _KILL_PROCESS)
    yield _instruction(_LOAD, _NUMBER)
    if on == "x86_64":
        yield _instruction(_IF_GREATER_EQUAL, _X32_BIT, otherwise=1)
        yield _refuse(_ENOSYS)
    clone3 = number("clone3", on)
    assert clone3 is not None
    # Its flags lie in memory, where a filter cannot look; C libraries go on with clone.
    yield from _unless_equal(clone3, [_refuse(_ENOSYS)])


def _refusals(names: Sequence[str], on: Machine) -> Iterator[bytes]:
    for name in dict.fromkeys(names):
        call = number(name, on)
        if call is not None:
            yield from _unless_equal(call, [_refuse(_EPERM)])


def _conditions(rules: Sequence[Rule], on: Machine) -> Iterator[bytes]:
    for rule in rules:
        call = number(rule.call, on)
        if call is not None:
            yield _instruction(_LOAD, _NUMBER)  # the rule before may have loaded an argument
            yield from _unless_equal(call, _body(rule))


def _body(rule: Rule) -> list[bytes]:
    """Refuse the call or fall through to what comes after."""
    body = [_instruction(_LOAD, _ARGUMENTS + 8 * rule.argument)]
    if rule.mask is not None:
        body.append(_instruction(_AND, rule.mask))
    code = _IF_EQUAL if rule.test == "equal" else _IF_ANY_BIT
    end = [_refuse(_EPERM)] if rule.inverted else [_instruction(_JUMP, 1), _refuse(_EPERM)]
    last = len(rule.values)
    tests = (_instruction(code, value, then=last - done) for done, value in enumerate(rule.values))
    return [*body, *tests, *end]


def _unless_equal(call: int, body: list[bytes]) -> Iterator[bytes]:
    """Jump over the body unless the number loaded is the call's."""
    yield _instruction(_IF_EQUAL, call, otherwise=len(body))
    yield from body


def _refuse(error: int) -> bytes:
    return _instruction(_RETURN, 0x00050000 | error)


def _instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("<HBBI", code, then, otherwise, value)
