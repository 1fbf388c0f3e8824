"""Attacks on memory: more than the tree may hold, in every place where memory can be held."""

from __future__ import annotations

from dataclasses import replace

from .attack import DENIED, LIMITS, OUT_OF_DISK, OUT_OF_MEMORY, attack
from .inside import (
    MEBIBYTE,
    Given,
    attempt,
    ctypes,
    fcntl,
    fill,
    hold,
    mmap,
    os,
    reached,
    resource,
    socket,
    spawn,
    syscall,
    time,
    word_of,
)

HELD = OUT_OF_MEMORY | DENIED
DESCRIPTORS = replace(LIMITS, descriptors=256)


@attack("memory", OUT_OF_MEMORY)
def fill_heap(given: Given) -> str:
    """Hold three times the memory that the tree may have."""
    kept: list[bytes] = []
    fill(lambda block: kept.append(bytes(bytearray(block))), 3 * given["memory"])
    return hold()


@attack("memory", OUT_OF_MEMORY, timeout=20)
def fill_heap_of_children(given: Given) -> str:
    """Hold three times the memory in six children, each below the limit."""
    ready, done = os.pipe()

    def take() -> None:
        kept: list[bytes] = []
        fill(lambda block: kept.append(bytes(bytearray(block))), given["memory"] // 2)
        os.write(done, b".")
        time.sleep(30)

    for _ in range(6):
        spawn(take)
    os.close(done)
    full = 0
    while full < 6:
        if not os.read(ready, 1):
            return "error: children ended"
        full += 1
    return hold()


@attack("memory", OUT_OF_MEMORY)
def fill_shared_mapping(given: Given) -> str:
    """Hold three times the memory in an anonymous shared mapping."""
    mapping = mmap.mmap(-1, 3 * given["memory"])
    fill(mapping.write, 3 * given["memory"])
    return hold()


@attack("memory", HELD | OUT_OF_DISK | {"ENOSYS"})
def fill_memory_file(given: Given) -> str:
    """Hold three times the memory in a memfd, which no process's resident size shows."""
    descriptor = syscall("memfd_create", b"attack", 0)
    fill(lambda block: os.write(descriptor, block), 3 * given["memory"])
    return hold()


@attack("memory", HELD | {"ENOSYS", "ENOSPC"})
def fill_system_v_memory(given: Given) -> str:
    """Hold three times the memory in a System V segment, which outlives its makers."""
    segment = syscall("shmget", 0, 3 * given["memory"], 0o1600)
    address = syscall("shmat", segment, 0, 0)
    syscall("shmctl", segment, 0, 0)  # it goes with the last process, should the guard be off
    for offset in range(0, 3 * given["memory"], MEBIBYTE):
        ctypes.memset(address + offset, 165, MEBIBYTE)
    return hold()


@attack("memory", HELD | {"EMFILE", "ENFILE"}, control="root")
def fill_pipes(given: Given) -> str:
    """Hold more than the memory in the buffers of pipes."""
    held = 0
    block = b"\xa5" * MEBIBYTE
    while held < given["memory"] + 64 * MEBIBYTE:
        _, sending = os.pipe()
        os.set_blocking(sending, False)
        try:
            fcntl.fcntl(sending, fcntl.F_SETPIPE_SZ, MEBIBYTE)
        except OSError as error:
            if held == 0:
                return word_of(error)
        held += os.write(sending, block)
    return hold()


@attack("memory", HELD | {"EMFILE", "ENFILE", "ENOBUFS"}, limits=DESCRIPTORS, timeout=25)
def fill_socket_buffers(given: Given) -> str:
    """Hold more than the memory in the buffers of socket pairs, which children keep open."""
    receiving, sending = os.pipe()

    def take() -> None:
        held = 0
        kept = []
        word = "full"
        try:
            while held < given["memory"] // 4:
                for end in socket.socketpair():
                    kept.append(end)
                    end.setblocking(False)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
                for end in kept[-2:]:
                    try:
                        while True:
                            held += end.send(b"\xa5" * 65536)
                    except BlockingIOError:
                        pass
        except OSError as error:
            word = word_of(error)
        os.write(sending, f"{word}\n".encode())
        time.sleep(30)

    for _ in range(6):
        spawn(take)
    os.close(sending)
    with os.fdopen(receiving) as stream:
        words = {stream.readline().strip() or "error: a child ended" for _ in range(6)}
    return hold() if words == {"full"} else reached(words - {"full"})


@attack("memory", {"EMFILE", "ENFILE"}, limits=DESCRIPTORS)
def open_too_many_files(given: Given) -> str:
    """Raise one's own limit and open more files than allowed."""
    wanted = 4 * given["descriptors"]
    for limit in (resource.getrlimit(resource.RLIMIT_NOFILE)[1], 2 * wanted):
        attempt(lambda limit=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))  # type: ignore[misc]
    return attempt(lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(wanted)])
