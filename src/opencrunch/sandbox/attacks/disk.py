"""Attacks on disks: more than the workspace, /tmp or /dev/shm may hold, in bytes and in names."""

from __future__ import annotations

from dataclasses import replace

from opencrunch.errors import PlatformError

from .attack import LIMITS, MEBIBYTE, OUT_OF_DISK, attack
from .inside import Given, fill, hold, os
from .scene import Scene

HELD = OUT_OF_DISK | {"ENOMEM"}
NO_PLACE = HELD | {"ENOENT", "EACCES", "EROFS", "EPERM"}
SMALL = replace(LIMITS, memory=64 * MEBIBYTE)


@attack("disk", HELD)
def fill_workspace(given: Given) -> str:
    """Write five times what the workspace may hold into one file."""
    with open("large", "wb", buffering=0) as file:
        fill(file.write, 5 * given["disk"])
    return hold()


@attack("disk", HELD)
def reserve_workspace(given: Given) -> str:
    """Reserve blocks without writing them."""
    with open("reserved", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 5 * given["disk"])
    return hold()


@attack("disk", HELD)
def fill_sparse_file(given: Given) -> str:
    """Make a file of a tebibyte with holes, and fill it here and there."""
    with open("sparse", "wb", buffering=0) as file:
        file.truncate(1 << 40)
        for step in range(5 * given["disk"] >> 20):
            file.seek(step << 30)
            file.write(b"\xa5" * (1 << 20))
    return hold()


@attack("disk", HELD, timeout=30)
def make_many_small_files(given: Given) -> str:
    """Make files of one byte, each of which takes a block."""
    for number in range(5 * given["disk"] >> 12):
        with open(f"small-{number}", "wb", buffering=0) as file:
            file.write(b"x")
    return hold()


@attack("disk", HELD, limits=SMALL, timeout=40)
def make_many_empty_files(given: Given) -> str:
    """Make files of no bytes, which take memory of the kernel only."""
    for number in range(120_000 if given["guarded"] else 20_000):
        os.close(os.open(f"empty-{number}", os.O_CREAT | os.O_WRONLY))
    return hold()


@attack("disk", HELD)
def fill_deleted_file(given: Given) -> str:
    """Fill a file that has no name any more, so that no walk over the workspace finds it."""
    with open("nameless", "wb", buffering=0) as file:
        os.unlink("nameless")
        fill(file.write, 5 * given["disk"])
        return hold()


@attack("disk", NO_PLACE)
def fill_temporary_directory(given: Given) -> str:
    """Write five times what /tmp may hold."""
    with open(given["temporary"] + "/large", "wb", buffering=0) as file:
        fill(file.write, 5 * given["disk"])
    return hold()


@attack("disk", NO_PLACE)
def fill_shared_memory_directory(given: Given) -> str:
    """Write five times what /dev/shm may hold."""
    path = f"/dev/shm/{given['token']}"
    with open(path, "wb", buffering=0) as file:
        if not given["guarded"]:
            os.unlink(path)
        fill(file.write, 5 * given["disk"])
        return hold()


def _goes_with_the_sandbox(scene: Scene, word: str) -> str:
    """Kill the sandbox and look whether its workspace can be removed."""
    if word != "deep":
        return word
    place = scene.running.outside(scene.workspace)
    try:
        scene.running.kill()
    except (OSError, RecursionError, PlatformError) as error:
        return f"succeeded: {type(error).__name__}"
    return "succeeded: it is still there" if os.path.lexists(place) else "removed"


@attack("disk", HELD | {"removed"}, look=_goes_with_the_sandbox, timeout=30)
def make_deep_directories(given: Given) -> str:
    """Nest directories deeper than any path can say, so that nobody can remove them."""
    for _ in range(3000):
        os.mkdir("deeper")
        os.chdir("deeper")
    return "deep"
