"""Attacks on files: reading and changing what was not mounted, changing what was."""

from __future__ import annotations

from .attack import DENIED, HIDDEN, READ_ONLY, attack
from .inside import (
    Given,
    attempt,
    attempt_each,
    os,
    other_processes,
    own_descriptors,
    reached,
    read,
    resource,
    secret_in,
    signal,
    stat,
    sys,
    word_of,
)


@attack("files", HIDDEN)
def read_by_absolute_path(given: Given) -> str:
    """Read a file of the host by its absolute path."""
    return secret_in(read(given["canary"]))


@attack("files", HIDDEN)
def read_by_parent_directories(given: Given) -> str:
    """Read a file of the host by climbing out of the working directory."""
    return secret_in(read("../" * 60 + given["canary"].lstrip("/")))


@attack("files", HIDDEN)
def read_through_planted_link(given: Given) -> str:
    """Read a file of the host through a symbolic link planted in the working directory."""
    os.symlink(given["canary"], "planted")
    return secret_in(read("planted"))


@attack("files", HIDDEN | {"EXDEV"})
def read_through_hard_link(given: Given) -> str:
    """Give a file of the host a second name in the working directory."""
    os.link(given["canary"], "second-name")
    return secret_in(read("second-name"))


@attack("files", HIDDEN)
def read_through_root_of_others(given: Given) -> str:
    """Read a file of the host through /proc/PID/root and /proc/PID/cwd of every other process."""
    words = []
    for pid in other_processes():
        for place in ("root" + given["canary"], "cwd/" + os.path.basename(given["canary"])):
            try:
                words.append(secret_in(read(f"/proc/{pid}/{place}")))
            except OSError:
                words.append("hidden")
    return reached(words)


@attack("files", HIDDEN)
def list_temporary_directory(given: Given) -> str:
    """See what other programs keep in the host's /tmp."""
    return "succeeded" if os.path.basename(given["directory"]) in os.listdir(given["parent"]) else "hidden"


@attack("files", HIDDEN)
def read_shared_memory_directory(given: Given) -> str:
    """Read a file of the host in /dev/shm."""
    return secret_in(read(given["shared_file"]))


@attack("files", HIDDEN, control="root")
def read_password_hashes(given: Given) -> str:
    """Open /etc/shadow."""
    return attempt(lambda: read("/etc/shadow", 1))


@attack("files", HIDDEN, control="root")
def list_home_directory(given: Given) -> str:
    """List the home directory of the user who runs the engine."""
    return "succeeded" if os.listdir(given["home"]) else "hidden"


@attack("files", READ_ONLY)
def create_file_in_mount(given: Given) -> str:
    """Create a file in a mounted directory that everybody may write on the host."""
    return attempt(lambda: os.close(os.open(given["mount"] + "/new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)))


@attack("files", READ_ONLY)
def overwrite_file_in_mount(given: Given) -> str:
    """Overwrite a mounted file that everybody may write on the host."""
    return attempt(lambda: os.write(os.open(given["mount"] + "/data", os.O_WRONLY), b"forged"))


@attack("files", READ_ONLY)
def reopen_descriptor_for_writing(given: Given) -> str:
    """Open a mounted file for reading, and that descriptor again for writing through /proc/self/fd."""
    descriptor = os.open(given["mount"] + "/data", os.O_RDONLY)
    return attempt(lambda: os.write(os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR), b"forged"))


@attack("files", READ_ONLY)
def truncate_file_in_mount(given: Given) -> str:
    """Shorten a mounted file, under an engine that may have it mapped."""
    return attempt(lambda: os.truncate(given["mount"] + "/data", 1))


@attack("files", READ_ONLY)
def replace_file_in_mount(given: Given) -> str:
    """Remove a mounted file, or put another in its place."""
    return reached(
        [
            attempt(lambda: os.rename(given["mount"] + "/spare", given["mount"] + "/data")),
            attempt(lambda: os.unlink(given["mount"] + "/spare")),
        ]
    )


@attack("files", READ_ONLY)
def poison_bytecode(given: Given) -> str:
    """Leave bytecode for a later run in the __pycache__ of a mounted package."""
    target = given["mount"] + f"/__pycache__/module.{sys.implementation.cache_tag}.pyc"
    return attempt(lambda: os.write(os.open(target, os.O_CREAT | os.O_WRONLY), b"poison"))


@attack("files", READ_ONLY)
def write_to_standard_library(given: Given) -> str:
    """Leave a module, a .pth file and bytecode beside the interpreter's standard library."""
    library = given["library"] or os.path.dirname(os.__file__)
    names = ("opencrunch_attack.py", "opencrunch_attack.pth", "__pycache__/opencrunch_attack.pyc")

    def leave(name: str) -> None:
        os.close(os.open(f"{library}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.unlink(f"{library}/{name}")  # it was shown that it could stay

    return attempt_each(names, leave)


@attack("files", READ_ONLY)
def replace_interpreter(given: Given) -> str:
    """Open the interpreter's own executable for writing, by name and through /proc/self/exe."""
    targets = [given["program"]] if given["program"] else [os.path.realpath(sys.executable), "/proc/self/exe"]
    return attempt_each(targets, lambda path: os.open(path, os.O_RDWR))


@attack("metadata", HIDDEN)
def stat_hidden_file(given: Given) -> str:
    """Learn size and times of a file that was not mounted."""
    return attempt(lambda: os.stat(given["canary"]))


@attack("metadata", READ_ONLY)
def chmod_hidden_file(given: Given) -> str:
    """Change the mode of a file that was not mounted."""
    return attempt(lambda: os.chmod(given["canary"], 0o666))


@attack("metadata", READ_ONLY)
def chown_hidden_file(given: Given) -> str:
    """Give a file that was not mounted to another group."""
    return attempt(lambda: os.chown(given["canary"], -1, os.getgid()))


@attack("metadata", READ_ONLY)
def set_times_of_hidden_file(given: Given) -> str:
    """Change the times of a file that was not mounted."""
    return attempt(lambda: os.utime(given["canary"], (1, 1)))


@attack("metadata", READ_ONLY)
def set_attribute_of_hidden_file(given: Given) -> str:
    """Leave an extended attribute on a file that was not mounted."""
    return attempt(lambda: os.setxattr(given["canary"], "user.note", b"left here"))


@attack("metadata", READ_ONLY)
def chmod_mounted_file(given: Given) -> str:
    """Change mode, times and attributes of a mounted file."""
    path = given["mount"] + "/data"
    return reached(
        [
            attempt(lambda: os.chmod(path, 0o666)),
            attempt(lambda: os.utime(path, (1, 1))),
            attempt(lambda: os.setxattr(path, "user.note", b"left here")),
        ]
    )


@attack("files", HIDDEN | {"ENXIO", "ENODEV"}, control="root")
def open_disk_device(given: Given) -> str:
    """Open the host's disk as a device."""
    paths = given["disks"]
    return attempt_each(paths, lambda path: os.open(path, os.O_RDONLY))


@attack("files", HIDDEN | {"ENXIO", "ENODEV"}, control="root")
def open_kernel_device(given: Given) -> str:
    """Open devices that reach into the kernel: memory, ports, the log, virtual machines, loops, FUSE."""
    paths = [f"/dev/{name}" for name in ("kmsg", "mem", "port", "kvm", "fuse", "loop-control", "console")]
    return attempt_each(paths, lambda path: os.open(path, os.O_RDONLY))


@attack("files", DENIED | {"EROFS"}, control="root")
def make_device_node(given: Given) -> str:
    """Make a device node in the working directory."""
    return attempt(lambda: os.mknod("node", stat.S_IFCHR | 0o600, os.makedev(1, 3)))


@attack("files", {"no-core", "EPERM"})
def write_core_dump(given: Given) -> str:
    """Crash so that the kernel writes a core dump, past every limit of the sandbox's disk."""

    def crash() -> str:
        limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
        os.kill(os.getpid(), signal.SIGSEGV)
        return "error: survived"

    pid = os.fork()
    if pid == 0:
        child_word = attempt(crash)
        os._exit(1 if child_word else 0)
    _, status = os.waitpid(pid, 0)
    return "succeeded" if os.WCOREDUMP(status) else "no-core" if os.WIFSIGNALED(status) else "error: alive"


@attack("files", {"only-given"})
def use_inherited_descriptors(given: Given) -> str:
    """Find descriptors that the engine had open: logs, sockets, data."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the descriptor that listed the directory
    more = {number: what for number, what in found.items() if number not in own_descriptors()}
    if given["open_file"] in more.values():
        return "succeeded"
    if more:
        return f"error: there are also {more}"
    if os.fstat(0).st_rdev != os.makedev(1, 3):
        return f"error: standard input is {os.readlink('/proc/self/fd/0')}"
    return "only-given"


@attack("files", HIDDEN | {"pipe", "device"})
def truncate_log_of_host(given: Given) -> str:
    """Open the standard output of process 1 and of this one again, and cut the host's log."""

    def cut(place: str) -> str:
        mode = os.stat(place).st_mode
        if not stat.S_ISREG(mode):
            return "pipe" if stat.S_ISFIFO(mode) else "device"
        os.close(os.open(place, os.O_WRONLY | os.O_TRUNC))
        return "succeeded"

    words = []
    for place in ("/proc/1/fd/1", "/proc/1/fd/2", "/proc/self/fd/1", "/proc/self/fd/2"):
        try:
            words.append(cut(place))
        except OSError as error:
            words.append(word_of(error))
    return reached(words)


@attack("files", HIDDEN)
def read_descriptors_of_others(given: Given) -> str:
    """Read files that other processes have open, deleted ones too, through /proc/PID/fd."""
    words = []
    for pid in other_processes():
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                if stat.S_ISREG(os.stat(f"/proc/{pid}/fd/{name}").st_mode):
                    words.append(secret_in(read(f"/proc/{pid}/fd/{name}")))
            except OSError:
                words.append("hidden")
    return reached(words)
