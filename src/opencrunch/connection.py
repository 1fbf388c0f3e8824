"""Waiting on a sandbox: reads with a deadline, while output is drained and limits are watched."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable

from opencrunch.log import Log
from opencrunch.sandbox.port import Exceeded, Process

TICK = 0.2  # seconds between two looks at the limits and two heartbeats
_CHUNK = 1 << 16


class Closed(Exception):
    """The other end has gone before the message was whole."""


class TimedOut(Exception):
    """The deadline passed."""


class Overrun(Exception):
    """A process of the tree was killed for memory while the engine waited."""


class Watch:
    """What happens while the engine waits: the tree's output goes to the log, a beat is given."""

    def __init__(self, process: Process, log: Log, beat: Callable[[], None]) -> None:
        self.process = process
        self.log = log
        self._beat = beat
        self._next_tick = time.monotonic() + TICK
        self._output_open = True
        self._evidence: Exceeded | None = None

    def begin(self) -> None:
        """Start a call: what was exceeded before does not explain it."""
        self.process.exceeded()
        self._evidence = None

    def exceeded(self) -> Exceeded | None:
        """Return the limit that was hit since the call began."""
        found = self.process.exceeded()
        if found is not None and (self._evidence is None or found.cause == "out-of-memory"):
            self._evidence = found
        return self._evidence

    def wait(self, waited: socket.socket, deadline: float, *, writing: bool = False) -> None:
        """Return when the socket is ready; raises TimedOut at the deadline, Overrun for memory."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut
            poller = select.poll()
            poller.register(waited, select.POLLOUT if writing else select.POLLIN)
            if self._output_open:
                poller.register(self.process.output, select.POLLIN)
            ready = {descriptor for descriptor, _ in poller.poll(1000 * min(left, TICK) + 1)}
            if self.process.output in ready:
                self._read_output()
            if time.monotonic() >= self._next_tick:
                self._tick()
            if waited.fileno() in ready:
                return

    def drain(self) -> None:
        """Take what the tree has printed so far, as much as a pipe can hold."""
        for _ in range(1 + (1 << 20) // _CHUNK):
            if not self._output_open or not self._read_output():
                return

    def check_memory(self) -> None:
        """Raise Overrun where a process of the tree was killed for memory, though others may live on."""
        evidence = self.exceeded()
        if evidence is not None and evidence.cause == "out-of-memory":
            raise Overrun

    def _read_output(self) -> bool:
        try:
            data = os.read(self.process.output, _CHUNK)
        except BlockingIOError:
            return False
        self._output_open = bool(data)
        self.log.write(data)
        return bool(data)

    def _tick(self) -> None:
        self._next_tick = time.monotonic() + TICK
        self.check_memory()
        self._beat()


class Connection:
    """A stream socket to a process in a sandbox."""

    def __init__(self, end: socket.socket, watch: Watch) -> None:
        self.socket = end
        self.socket.setblocking(False)
        self.watch = watch
        self.deadline = float("inf")

    def read(self, count: int) -> bytearray:
        """Return exactly `count` bytes, read before the deadline.

        Raises Closed, TimedOut or Overrun.
        """
        data = bytearray(count)
        view = memoryview(data)
        while view:
            try:
                received = self.socket.recv_into(view)
            except BlockingIOError:
                self.watch.wait(self.socket, self.deadline)
                continue
            except OSError:
                raise Closed from None
            if received == 0:
                raise Closed
            view = view[received:]
        return data

    def read_with_sender(self, count: int) -> tuple[bytearray, int]:
        """Return exactly `count` bytes and their sender's pid, as the kernel states it."""
        self.watch.wait(self.socket, self.deadline)
        try:
            data, ancillary, _, _ = self.socket.recvmsg(count, socket.CMSG_SPACE(12))
        except OSError:
            raise Closed from None
        if not data:
            raise Closed
        pid = 0
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == _SCM_CREDENTIALS and len(payload) >= 12:
                pid = struct.unpack("iII", payload[:12])[0]
        rest = self.read(count - len(data)) if len(data) < count else bytearray()
        return bytearray(data) + rest, pid

    def send(self, data: bytes, passed: socket.socket | None = None) -> None:
        """Send all of it, with a socket where one is given; raises Closed, TimedOut or Overrun."""
        view = memoryview(data)
        while view:
            try:
                if passed is None:
                    sent = self.socket.send(view)
                else:
                    sent = socket.send_fds(self.socket, [view], [passed.fileno()])
                    passed = None
            except BlockingIOError:
                self.watch.wait(self.socket, self.deadline, writing=True)
                continue
            except OSError:
                raise Closed from None
            view = view[sent:]

    def await_close(self, deadline: float) -> None:
        """Wait until the other end is closed, or something else comes, or the deadline passes."""
        try:
            self.watch.wait(self.socket, deadline)
        except (TimedOut, Overrun):
            pass

    def close(self) -> None:
        """Close this end."""
        self.socket.close()


_SCM_CREDENTIALS = getattr(socket, "SCM_CREDENTIALS", 2)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return the engine's and the sandbox's end of a channel for one call; ours tells its senders."""
    ours, theirs = socket.socketpair()
    if hasattr(socket, "SO_PASSCRED"):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return ours, theirs
