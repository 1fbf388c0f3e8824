"""What attacks aim at on the host: files, listeners, kernel objects and a process, all made for the occasion.

Everything belongs to the sandbox's user or is open to everybody, so that it is the guard that protects it and
not a permission bit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from opencrunch.errors import PlatformError
from opencrunch.sandbox.identity import engine_is_root, sandbox_user

from . import inside

VARIABLE = "OPENCRUNCH_CANARY"
MOUNT = "/mounted"
_BASE = Path("/tmp")  # world-readable, and hidden by every guard of files

_VICTIM = """
import ctypes, sys, time
kept = open(sys.argv[2], "rb")
buffer = ctypes.create_string_buffer(sys.argv[1].encode())
print(ctypes.addressof(buffer), flush=True)
time.sleep(600)
"""


class Target:
    """The aims of one examination; a context manager that removes them."""

    def __init__(self, interpreter: Path, base: Path | None = None) -> None:
        self.interpreter = str(interpreter)
        self.token = f"opencrunch-attack-{secrets.token_hex(8)}"
        self.secret = f"opencrunch-canary-{secrets.token_hex(16)}"
        self.base = base or _BASE
        self.directory = self.base / self.token
        self.user, self.group = sandbox_user()
        self._closing = contextlib.ExitStack()
        self._datagrams: list[socket.socket] = []
        self.given: dict[str, Any] = {}

    def __enter__(self) -> Target:
        with contextlib.ExitStack() as stack:
            self._closing = stack
            self._make(stack)
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def mount(self) -> Path:
        """Return the directory that the sandbox may read."""
        return self.directory / "mount"

    def scratch(self) -> Path:
        """Return a new working directory for an attack that runs without guards."""
        path = self.directory / f"scratch-{secrets.token_hex(4)}"
        path.mkdir()
        self._own(path)
        return path

    def renew(self) -> None:
        """Put back what an attack that succeeded has changed."""
        library = self.mount / "__pycache__"
        shutil.rmtree(self.mount, ignore_errors=True)
        library.mkdir(parents=True)
        (self.mount / "data").write_text("data\n")
        (self.mount / "spare").write_text("spare\n")
        self._place_setuid_program()
        self._open(self.mount / "door", socket.SOCK_STREAM)
        self._open(self.mount / "letterbox", socket.SOCK_DGRAM)
        for path in (self.mount, library, self.mount / "data", self.mount / "spare"):
            self._own(path)
        self._write(self.directory / "canary")
        for end in self._datagrams:
            self._drain(end)

    def datagram_within(self, seconds: float) -> bool:
        """Return whether a datagram with the token comes to one of the listeners."""
        deadline = time.monotonic() + seconds
        while True:
            if any(self._drain(end) for end in self._datagrams):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)

    def _make(self, stack: contextlib.ExitStack) -> None:
        self.directory.mkdir(mode=0o755)
        stack.callback(self._remove)
        os.putenv(VARIABLE, self.secret)  # what is started from here inherits it, unless it is prevented
        stack.callback(os.unsetenv, VARIABLE)
        self._sockets(stack)
        self.renew()
        self._files(stack)
        self._kernel_objects(stack)
        self._victim(stack)
        self.given |= {
            "token": self.token,
            "directory": str(self.directory),
            "parent": str(self.base),
            "home": os.path.expanduser("~"),
            "disks": [f"/dev/{name}" for name in sorted(os.listdir("/sys/block"))],
            "setuid": [["mount:/sleep", "1"], ["/usr/bin/su"], ["/bin/su"], ["/usr/bin/passwd"]],
        }

    def _files(self, stack: contextlib.ExitStack) -> None:
        shared = Path("/dev/shm") / self.token
        self._write(shared)
        stack.callback(shared.unlink, missing_ok=True)
        library = self.directory / "library"
        (library / "__pycache__").mkdir(parents=True)
        program = self.directory / "program"
        program.write_text("")
        for path in (library, library / "__pycache__", program):
            self._own(path)
        self._write(self.directory / "open")
        leaked = os.open(self.directory / "open", os.O_RDONLY)
        os.set_inheritable(leaked, True)
        stack.callback(os.close, leaked)
        self.given |= {
            "canary": str(self.directory / "canary"),
            "shared_file": str(shared),
            "open_file": str(self.directory / "open"),
        }
        self.stand_ins = {"library": str(library), "program": str(program)}

    def _sockets(self, stack: contextlib.ExitStack) -> None:
        for name, family, address in (("tcp", socket.AF_INET, "127.0.0.1"), ("tcp6", socket.AF_INET6, "::1")):
            self.given[name] = 0
            with contextlib.suppress(OSError):  # a machine without IPv6
                listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                listener.bind((address, 0))
                listener.listen(64)
                self.given[name] = listener.getsockname()[1]
        datagram = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagram.bind(("127.0.0.1", 0))
        self._datagrams.append(datagram)
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        abstract.bind("\0" + self.token)
        abstract.listen(64)
        letters = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        letters.bind(f"\0{self.token}-letters")
        self._datagrams.append(letters)
        self._open(self.directory / "door", socket.SOCK_STREAM)
        for end in self._datagrams:
            end.setblocking(False)
        self.given |= {
            "udp": datagram.getsockname()[1],
            "abstract": self.token,
            "abstract_datagram": f"{self.token}-letters",
            "socket_file": str(self.directory / "door"),
        }

    def _open(self, path: Path, kind: socket.SocketKind) -> None:
        end = self._closing.enter_context(socket.socket(socket.AF_UNIX, kind))
        end.bind(str(path))
        path.chmod(0o777)
        if kind == socket.SOCK_STREAM:
            end.listen(64)
        else:
            end.setblocking(False)
            self._datagrams.append(end)

    def _kernel_objects(self, stack: contextlib.ExitStack) -> None:
        """Make a System V segment and queue and a POSIX queue that everybody may use."""
        key = secrets.randbits(30) | 1
        self.given |= {"shm_key": key, "shm_id": -1, "queue_key": key, "queue_name": self.token}
        create = 0o1000 | 0o2000 | 0o666  # IPC_CREAT, IPC_EXCL
        with contextlib.suppress(OSError):  # a kernel without them: the controls say so
            segment = inside.syscall("shmget", key, 4096, create)
            stack.callback(_remove_object, "shmctl", segment)
            address = inside.syscall("shmat", segment, 0, 0)
            ctypes.memmove(address, self.secret.encode(), len(self.secret))
            inside.libc.shmdt(ctypes.c_void_p(address))
            self.given["shm_id"] = segment
        with contextlib.suppress(OSError):
            queue = inside.syscall("msgget", key, create)
            stack.callback(_remove_object, "msgctl", queue)
        with contextlib.suppress(OSError):
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            descriptor = inside.syscall("mq_open", self.token.encode(), flags, 0o666, 0)
            os.fchmod(descriptor, 0o666)
            os.close(descriptor)
            stack.callback(_unlink_queue, self.token)

    def _victim(self, stack: contextlib.ExitStack) -> None:
        """Start a process of the sandbox's user with secrets in all its places."""
        deleted = self.directory / "deleted"
        self._write(deleted)
        process = subprocess.Popen(
            [self.interpreter, "-I", "-S", "-c", _VICTIM, self.secret, str(deleted)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=self.directory,
            user=self.user if engine_is_root() else None,
            group=self.group if engine_is_root() else None,
            extra_groups=[] if engine_is_root() else None,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        address = b""
        if process.stdout is not None:
            with process.stdout as stream:
                address = stream.readline()
        deleted.unlink()
        if not address.strip().isdigit():
            raise PlatformError(
                f"the process that attacks aim at did not start: can uid {self.user} run {self.interpreter}?"
            )
        self.given |= {"pids": [process.pid, os.getpid()], "address": int(address)}

    def _place_setuid_program(self) -> None:
        if engine_is_root() and (sleep := shutil.which("sleep")):
            shutil.copyfile(sleep, self.mount / "sleep")
            (self.mount / "sleep").chmod(0o4755)

    def _write(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.write_text(self.secret)
        self._own(path)

    def _own(self, path: Path) -> None:
        path.chmod(0o777 if path.is_dir() else 0o666)
        if engine_is_root():
            os.chown(path, self.user, self.group)

    def _drain(self, end: socket.socket) -> bool:
        came = False
        with contextlib.suppress(OSError):
            while True:
                came |= self.token.encode() in end.recv(4096)
        return came

    def _remove(self) -> None:
        # Deeper than Python's own removal can go, and some of it not readable.
        subprocess.run(["rm", "-rf", "--", str(self.directory)], check=False, stderr=subprocess.DEVNULL)


def _remove_object(call: str, number: int) -> None:
    getattr(inside.libc, call)(number, 0, None)  # IPC_RMID


def _unlink_queue(name: str) -> None:
    library = inside.libc if hasattr(inside.libc, "mq_unlink") else ctypes.CDLL("librt.so.1")
    library.mq_unlink(f"/{name}".encode())
