"""Attacks on the kernel: calls that a submission never needs.

Where success would do harm, the arguments are wrong on purpose: with the guard off the kernel says so
(EFAULT, EINVAL, EBADF), and it is the guard that says EPERM. Such a call does nothing anywhere.
"""

from __future__ import annotations

from .attack import NO_CALL, attack
from .inside import (
    BAD,
    NEW_USER,
    Given,
    attempt,
    child_says,
    ctypes,
    fcntl,
    os,
    reached,
    signal,
    struct,
    syscall,
)

WRONG = frozenset({"EFAULT", "EINVAL", "EBADF"})
NO_NAMESPACE = NO_CALL | {"ENOSPC", "EUSERS"}  # the limit on user namespaces may be none


@attack("kernel", NO_CALL, proof=WRONG)
def mount_filesystem(given: Given) -> str:
    """Mount, bind and remount: a bind of the root, the mounted directory made writable."""
    probe = attempt(lambda: syscall("mount", BAD, BAD, BAD, 0, 0))
    if not given["guarded"]:
        return probe
    bind, remount_writable = 4096, 4096 | 32
    return reached(
        [
            probe,
            attempt(lambda: syscall("mount", b"/proc/1/root", b".", None, bind, None)),
            attempt(lambda: syscall("mount", None, given["mount"].encode(), None, remount_writable, None)),
        ]
    )


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def unmount_filesystem(given: Given) -> str:
    """Unmount what hides something."""
    probe = attempt(lambda: syscall("umount2", BAD, 0x7FFFFFF0))
    return reached([probe, attempt(lambda: syscall("umount2", b"/tmp", 2))]) if given["guarded"] else probe


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def mount_by_new_calls(given: Given) -> str:
    """Use the newer ways to mount: fsopen, open_tree, mount_setattr."""
    return reached(
        [
            attempt(lambda: syscall("fsopen", BAD, 0)),
            attempt(lambda: syscall("open_tree", -1, BAD, 1)),
            attempt(lambda: syscall("mount_setattr", -1, BAD, 0, BAD, 32)),
        ]
    )


@attack("kernel", NO_NAMESPACE)
def unshare_user_namespace(given: Given) -> str:
    """Become root of a new user namespace by unshare, which opens the kernel's privileged paths."""
    return child_says(lambda: attempt(lambda: syscall("unshare", NEW_USER | 0x20000)))


@attack("kernel", NO_NAMESPACE)
def clone_user_namespace(given: Given) -> str:
    """Become root of a new user namespace by clone."""

    def clone() -> str:
        pid = syscall("clone", NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return "succeeded"

    return child_says(clone)


@attack("kernel", NO_NAMESPACE)
def clone3_user_namespace(given: Given) -> str:
    """Become root of a new user namespace by clone3, whose flags a filter cannot see."""

    def clone() -> str:
        fields = (ctypes.c_uint64 * 8)(NEW_USER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
        pid = syscall("clone3", fields, 64)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return "succeeded"

    return child_says(clone)


@attack("kernel", NO_CALL, proof=WRONG)
def enter_namespace(given: Given) -> str:
    """Enter another namespace by setns."""
    return attempt(lambda: syscall("setns", -1, 0))


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def change_root_mount(given: Given) -> str:
    """Put another filesystem at the root by pivot_root."""
    return attempt(lambda: syscall("pivot_root", BAD, BAD))


@attack("kernel", NO_CALL, proof=WRONG)
def change_root_directory(given: Given) -> str:
    """Change the root directory by chroot, the classic way out of one."""
    return attempt(lambda: syscall("chroot", BAD))


@attack("kernel", NO_CALL)
def read_keyrings(given: Given) -> str:
    """Reach the kernel's keyrings, which containers share, by keyctl."""
    return attempt(lambda: syscall("keyctl", 0, -3, 1, 0, 0))


@attack("kernel", NO_CALL)
def add_key(given: Given) -> str:
    """Leave a key in the kernel."""
    return attempt(lambda: syscall("add_key", b"user", b"opencrunch-attack", b"note", 4, -2))


@attack("kernel", NO_CALL, proof=WRONG | {"E2BIG"}, control="root")
def load_bpf(given: Given) -> str:
    """Load a BPF program."""
    return attempt(lambda: syscall("bpf", 5, BAD, 48))


@attack("kernel", NO_CALL)
def open_userfaultfd(given: Given) -> str:
    """Handle page faults in user space, the tool of many kernel exploits."""
    return attempt(lambda: syscall("userfaultfd", 1))


@attack("kernel", NO_CALL)
def set_up_io_uring(given: Given) -> str:
    """Make an io_uring, whose operations pass every filter by."""
    return attempt(lambda: syscall("io_uring_setup", 1, ctypes.create_string_buffer(256)))


@attack("kernel", NO_CALL)
def open_performance_counter(given: Given) -> str:
    """Open a performance counter."""
    fields = struct.pack("=IIQ", 1, 112, 9).ljust(40, b"\0") + struct.pack("=Q", 0b1100000)
    attributes = ctypes.create_string_buffer(fields.ljust(112, b"\0"), 112)
    return attempt(lambda: syscall("perf_event_open", attributes, 0, -1, -1, 0))


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def load_kernel(given: Given) -> str:
    """Load another kernel by kexec; the flags and the count are impossible ones."""
    return reached(
        [
            attempt(lambda: syscall("kexec_load", 0, 1_000_000, 0, 0xFFFF)),
            attempt(lambda: syscall("kexec_file_load", -1, -1, 0, 0, 0xFFFF)),
        ]
    )


@attack("kernel", NO_CALL, proof=WRONG | {"ENOEXEC"}, control="root")
def load_module(given: Given) -> str:
    """Load or remove a kernel module; there is none at the address."""
    return reached(
        [
            attempt(lambda: syscall("init_module", BAD, 0, BAD)),
            attempt(lambda: syscall("finit_module", -1, BAD, 0xFFFF)),
            attempt(lambda: syscall("delete_module", BAD, 0xFFFF)),
        ]
    )


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def restart_machine(given: Given) -> str:
    """Restart the machine; the magic numbers are wrong."""
    return attempt(lambda: syscall("reboot", 1, 2, 3, 0))


@attack("kernel", NO_CALL, proof=WRONG)
def set_clock(given: Given) -> str:
    """Set the machine's clock; the clock and the times do not exist."""
    return reached(
        [
            attempt(lambda: syscall("clock_settime", 9999, BAD)),
            attempt(lambda: syscall("settimeofday", BAD, 0)),
            attempt(lambda: syscall("adjtimex", BAD)),
            attempt(lambda: syscall("clock_adjtime", 9999, BAD)),
        ]
    )


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def change_swap(given: Given) -> str:
    """Add or remove swap; there is no name at the address."""
    return reached(
        [attempt(lambda: syscall("swapon", BAD, 0x7FFFFFFF)), attempt(lambda: syscall("swapoff", BAD))]
    )


@attack("kernel", NO_CALL, control="root")
def read_kernel_log(given: Given) -> str:
    """Ask for the size of the kernel's log."""
    return attempt(lambda: syscall("syslog", 10, 0, 0))


@attack("kernel", NO_CALL)
def change_personality(given: Given) -> str:
    """Make readable memory executable by personality."""
    return attempt(lambda: syscall("personality", 0x0400000))


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def start_accounting(given: Given) -> str:
    """Have the kernel write process accounting; there is no name at the address."""
    return attempt(lambda: syscall("acct", BAD))


@attack("kernel", NO_CALL, proof=WRONG | {"ENODEV", "ENOENT"})
def change_quotas(given: Given) -> str:
    """Change disk quotas; the command does not exist."""
    return attempt(lambda: syscall("quotactl", -1, BAD, 0, BAD))


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def open_by_handle(given: Given) -> str:
    """Open a file by its handle, past every directory above it."""
    return attempt(lambda: syscall("open_by_handle_at", -1, BAD, 0))


@attack("kernel", NO_CALL, proof={"EOVERFLOW"})
def make_handle(given: Given) -> str:
    """Ask for the handle of a file."""
    handle, mount = ctypes.create_string_buffer(8), ctypes.c_int()
    return attempt(lambda: syscall("name_to_handle_at", -100, b"/", handle, ctypes.byref(mount), 0))


@attack("kernel", NO_CALL, proof=WRONG, control="root")
def rename_machine(given: Given) -> str:
    """Change the host's name; there is no name at the address."""
    return attempt(lambda: syscall("sethostname", BAD, 5))


@attack("kernel", NO_CALL, proof={"EIO", "succeeded"})
def type_into_terminal(given: Given) -> str:
    """Put characters into a terminal's input by TIOCSTI, with and without high bits that fool filters."""

    def type_character(request: int) -> str:
        def act() -> str:
            _, terminal = os.openpty()
            os.setsid()
            fcntl.ioctl(terminal, 0x540E, 0)
            return attempt(lambda: syscall("ioctl", terminal, request, b"x"))

        return child_says(act)

    def on_a_pipe(request: int) -> str:
        word = attempt(lambda: syscall("ioctl", os.pipe()[0], request, b"x"))
        return "reached-kernel" if word == "ENOTTY" else word

    words = [type_character(0x5412), type_character(0x100005412)]
    if set(words) <= {"ENOENT", "EACCES", "ENODEV", "EPERM"}:  # no terminals here, or the filter
        words = [on_a_pipe(0x5412), on_a_pipe(0x100005412)]
    return reached(words)


@attack("kernel", NO_CALL, proof=WRONG)
def use_ports(given: Given) -> str:
    """Reach the machine's input and output ports; the range and the level do not exist."""
    return reached([attempt(lambda: syscall("ioperm", 1 << 20, 1, 1)), attempt(lambda: syscall("iopl", 4))])


@attack("kernel", NO_CALL)
def change_segments(given: Given) -> str:
    """Read the table of segments by modify_ldt."""
    return attempt(lambda: syscall("modify_ldt", 0, ctypes.create_string_buffer(64), 64))
