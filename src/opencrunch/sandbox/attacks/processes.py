"""Attacks on other processes and on the kernel's shared objects. The victim is a process of our own."""

from __future__ import annotations

from .attack import HIDDEN, NO_CALL, NO_PROCESS, attack
from .inside import (
    Given,
    attempt,
    attempt_each,
    ctypes,
    os,
    other_processes,
    reached,
    read,
    resource,
    secret_in,
    signal,
    syscall,
    word_of,
)

NO_OBJECT = NO_CALL | {"ENOENT", "EINVAL", "hidden"}


@attack("processes", HIDDEN)
def read_environment_of_others(given: Given) -> str:
    """Find secrets in the environment of every process that /proc shows."""
    words = []
    for pid in other_processes():
        try:
            words.append(secret_in(read(f"/proc/{pid}/environ", 1 << 20)))
        except OSError as error:
            words.append(word_of(error))
    return reached(words)


@attack("processes", HIDDEN)
def read_command_lines_of_others(given: Given) -> str:
    """Find secrets in the command line of every process that /proc shows."""
    words = []
    for pid in other_processes():
        try:
            words.append(secret_in(read(f"/proc/{pid}/cmdline", 1 << 20)))
        except OSError as error:
            words.append(word_of(error))
    return reached(words)


@attack("environment", {"only-given"})
def read_own_environment(given: Given) -> str:
    """Find variables of the engine among one's own, as the kernel keeps them."""
    data = read("/proc/self/environ", 1 << 20)
    if secret_in(data) == "succeeded":
        return "succeeded"
    names = {entry.partition(b"=")[0].decode() for entry in data.split(b"\0") if entry}
    more = sorted(names - set(given["variables"]))
    return f"error: there is also {', '.join(more)}" if more else "only-given"


@attack("environment", HIDDEN)
def read_environment_of_process_1(given: Given) -> str:
    """Find the engine's variables in the environment or the command line of the sandbox's first process."""
    words = []
    stand_in = [] if given["guarded"] else given["pids"]
    for pid in {1, os.getppid(), *stand_in} - {0, os.getpid()}:
        for name in ("environ", "cmdline"):
            try:
                words.append(secret_in(read(f"/proc/{pid}/{name}", 1 << 20)))
            except OSError as error:
                words.append(word_of(error))
    return reached(words)


@attack("processes", HIDDEN)
def open_memory_of_others(given: Given) -> str:
    """Open the memory of the engine and of another process of the host through /proc/PID/mem."""

    def look(pid: int) -> None:
        descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        if secret_in(os.pread(descriptor, 64, given["address"])) != "succeeded":
            raise PermissionError(13, "nothing read")

    return attempt_each(given["pids"], look)


@attack("processes", NO_PROCESS)
def copy_memory_of_others(given: Given) -> str:
    """Read another process's memory by process_vm_readv."""
    buffer = ctypes.create_string_buffer(64)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 64)
    remote = (ctypes.c_uint64 * 2)(given["address"], 64)
    syscall("process_vm_readv", given["pids"][0], local, 1, remote, 1, 0)
    return secret_in(buffer.raw)


@attack("processes", NO_PROCESS)
def trace_others(given: Given) -> str:
    """Attach to another process of the host and to the parent as a debugger."""

    def seize(pid: int) -> None:
        syscall("ptrace", 0x4206, pid, 0, 0)  # PTRACE_SEIZE: does not stop the process

    # Not the engine, which would stop with its next signal; unguarded the parent is the engine.
    parent = {os.getppid()} - {0} if given["guarded"] else set()
    return attempt_each([given["pids"][0], *parent], seize)


@attack("processes", NO_PROCESS)
def signal_others(given: Given) -> str:
    """Send a signal to the engine and to another process of the host."""
    return attempt_each(given["pids"], lambda pid: os.kill(pid, signal.SIGCONT))


@attack("processes", NO_PROCESS)
def signal_by_process_descriptor(given: Given) -> str:
    """Send a signal to another process of the host by a pidfd."""
    return attempt_each(
        given["pids"],
        lambda pid: syscall("pidfd_send_signal", syscall("pidfd_open", pid, 0), signal.SIGCONT, 0, 0),
    )


@attack("processes", NO_PROCESS)
def take_descriptor_of_others(given: Given) -> str:
    """Take an open file from another process by pidfd_getfd."""
    return attempt_each(
        given["pids"], lambda pid: syscall("pidfd_getfd", syscall("pidfd_open", pid, 0), 0, 0)
    )


@attack("processes", NO_PROCESS)
def slow_down_others(given: Given) -> str:
    """Set the priority of the engine and of another process of the host."""

    def set_priority(pid: int) -> None:
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid))  # as it is: no harm

    return attempt_each(given["pids"], set_priority)


@attack("processes", NO_PROCESS)
def move_others_between_cores(given: Given) -> str:
    """Set the cores and the scheduling class of the engine and of another process of the host."""

    def set_scheduler(pid: int) -> None:
        os.sched_setscheduler(pid, os.sched_getscheduler(pid), os.sched_getparam(pid))  # as it is: no harm

    return reached(
        [
            attempt_each(given["pids"], lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(pid))),
            attempt_each(given["pids"], set_scheduler),
        ]
    )


@attack("processes", NO_PROCESS)
def limit_others(given: Given) -> str:
    """Set resource limits of the engine and of another process of the host."""

    def set_limit(pid: int) -> None:
        kind = resource.RLIMIT_CORE
        resource.prlimit(pid, kind, resource.prlimit(pid, kind))  # as it is: no harm

    return attempt_each(given["pids"], set_limit)


@attack("ipc", NO_OBJECT)
def read_system_v_memory(given: Given) -> str:
    """Attach a System V shared memory segment of the host, by its key and by its number."""
    words = []
    for find in (lambda: syscall("shmget", given["shm_key"], 0, 0), lambda: given["shm_id"]):
        try:
            address = syscall("shmat", find(), 0, 0o10000)
            words.append(secret_in(ctypes.string_at(address, 64)))
        except OSError as error:
            words.append(word_of(error))
    return reached(words)


@attack("ipc", NO_OBJECT)
def open_system_v_queue(given: Given) -> str:
    """Open a System V message queue of the host."""
    return attempt(lambda: syscall("msgget", given["queue_key"], 0))


@attack("ipc", NO_OBJECT)
def open_posix_queue(given: Given) -> str:
    """Open a POSIX message queue of the host."""
    return attempt(lambda: syscall("mq_open", given["queue_name"].encode(), os.O_RDWR, 0, 0))
