"""The filter of system calls, run by an interpreter of its instructions for each machine that it knows."""

from __future__ import annotations

import struct
from itertools import product
from typing import get_args

import pytest

from opencrunch.sandbox import seccomp
from opencrunch.sandbox.syscalls import NUMBERS, Machine, number

ALLOWED, REFUSED, KILLED = 0x7FFF0000, 0x00050001, 0x80000000
MISSING = 0x00050000 | 38
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
WRITE = {"x86_64": 1, "aarch64": 64}


def verdict(code: bytes, call: int, arguments: tuple[int, ...] = (), *, machine: Machine) -> int:
    """Return what the kernel would: the instructions are run on one call's data."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", call, ARCHITECTURE[machine], 0, *padded)
    instructions = list(struct.iter_unpack("<HBBI", code))
    position, loaded = 0, 0
    while True:
        operation, then, otherwise, value = instructions[position]
        position += 1
        match operation:
            case 0x20:
                loaded = struct.unpack_from("<I", data, value)[0]
            case 0x54:
                loaded &= value
            case 0x06:
                return int(value)
            case 0x05:
                position += value
            case 0x15:
                position += then if loaded == value else otherwise
            case 0x35:
                position += then if loaded >= value else otherwise
            case 0x45:
                position += then if loaded & value else otherwise
            case _:
                raise AssertionError(f"an unknown instruction {operation:#x}")


@pytest.fixture(params=get_args(Machine))
def machine(request: pytest.FixtureRequest) -> Machine:
    """Each machine type that the filter knows."""
    found: Machine = request.param
    return found


def judge(
    call: str, *arguments: int, machine: Machine, sampled: bool = False, namespaces: bool = True
) -> int:
    """Return the verdict on a call by its name."""
    code = seccomp.program(shared_memory=not sampled, namespaces=namespaces, on=machine)
    found = number(call, machine)
    assert found is not None
    return verdict(code, found, arguments, machine=machine)


def test_every_variant_fits_and_ends(machine: Machine) -> None:
    for memory, namespaces, foreign in product((True, False), repeat=3):
        code = seccomp.program(shared_memory=memory, namespaces=namespaces, foreign_files=foreign, on=machine)
        assert len(code) // 8 <= 4096
        for call in range(600):
            for arguments in ((), (1,) * 6, (0xFFFFFFFF,) * 6):
                assert verdict(code, call, arguments, machine=machine) in (ALLOWED, REFUSED, MISSING)


def test_another_architecture_is_killed(machine: Machine) -> None:
    other: Machine = "aarch64" if machine == "x86_64" else "x86_64"
    code = seccomp.program(shared_memory=True, on=machine)
    assert verdict(code, WRITE[machine], machine=other) == KILLED


def test_the_x32_numbers_are_refused() -> None:
    code = seccomp.program(shared_memory=True, on="x86_64")
    assert verdict(code, 0x40000000 | 41, machine="x86_64") == MISSING


@pytest.mark.parametrize(
    "call", ["mount", "ptrace", "bpf", "unshare", "keyctl", "socket", "connect", "setns"]
)
def test_dangerous_calls_are_refused(machine: Machine, call: str) -> None:
    assert judge(call, machine=machine) == REFUSED


def test_ordinary_calls_are_allowed(machine: Machine) -> None:
    code = seccomp.program(shared_memory=False, namespaces=False, foreign_files=True, on=machine)
    assert verdict(code, WRITE[machine], machine=machine) == ALLOWED


def test_clone_makes_threads_and_processes_but_no_namespaces(machine: Machine) -> None:
    assert judge("clone3", machine=machine) == MISSING
    assert judge("clone", 0x3D0F00, machine=machine) == ALLOWED  # as pthread_create does
    assert judge("clone", 17, machine=machine) == ALLOWED  # as fork does
    for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert judge("clone", flag | 17, machine=machine) == REFUSED


def test_only_connected_streams_of_unix_sockets_are_made(machine: Machine) -> None:
    non_blocking = 0x80800
    for kind in (1, 5):
        assert judge("socketpair", 1, kind | non_blocking, machine=machine) == ALLOWED
    for family, kind in ((1, 2), (1, 3 | non_blocking), (2, 1), (16, 3), (38, 5)):
        assert judge("socketpair", family, kind, machine=machine) == REFUSED


def test_files_are_made_but_no_devices(machine: Machine) -> None:
    assert judge("mknodat", 0, 0, 0o100644, machine=machine) == ALLOWED
    assert judge("mknodat", 0, 0, 0o010644, machine=machine) == ALLOWED
    assert judge("mknodat", 0, 0, 0o020644, machine=machine) == REFUSED
    assert judge("mknodat", 0, 0, 0o060644, machine=machine) == REFUSED


def test_terminals_are_not_fed_and_the_personality_is_kept(machine: Machine) -> None:
    assert judge("ioctl", 1, 0x5413, machine=machine) == ALLOWED
    for request in (0x5412, 0x541C, 0x540E, 0x5412 | 1 << 32):
        assert judge("ioctl", 1, request, machine=machine) == REFUSED
    assert judge("personality", 0xFFFFFFFF, machine=machine) == ALLOWED
    assert judge("personality", 0x0040000, machine=machine) == REFUSED


def test_memory_that_nobody_counts_is_refused_where_it_is_only_sampled(machine: Machine) -> None:
    for call, arguments in (("memfd_create", ()), ("setsockopt", (3, 1, 7)), ("setsockopt", (3, 1, 32))):
        assert judge(call, *arguments, machine=machine) == ALLOWED
        assert judge(call, *arguments, machine=machine, sampled=True) == REFUSED
    assert judge("setsockopt", 3, 1, 8, machine=machine, sampled=True) == ALLOWED


def test_without_namespaces_a_process_schedules_and_limits_only_itself(machine: Machine) -> None:
    for call in ("prlimit64", "sched_setaffinity", "sched_setscheduler"):
        assert judge(call, 0, machine=machine, namespaces=False) == ALLOWED
        assert judge(call, 4321, machine=machine, namespaces=False) == REFUSED
        assert judge(call, 4321, machine=machine) == ALLOWED
    assert judge("shmat", machine=machine, namespaces=False) == REFUSED


def test_no_number_stands_for_two_calls(machine: Machine) -> None:
    numbers = [found for call in NUMBERS if (found := number(call, machine)) is not None]
    assert len(set(numbers)) == len(numbers)


def test_the_numbers_are_those_of_the_system_headers(machine: Machine) -> None:
    """Some that are easily mistaken."""
    known = {
        "x86_64": {"socketpair": 53, "setsockopt": 54, "clone": 56, "ptrace": 101, "unshare": 272},
        "aarch64": {"socketpair": 199, "setsockopt": 208, "clone": 220, "ptrace": 117, "unshare": 97},
    }
    assert {call: number(call, machine) for call in known[machine]} == known[machine]
