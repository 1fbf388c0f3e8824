"""Messages between the runner and the engine: a length, a JSON header, raw buffers."""

from __future__ import annotations

import array
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

HEADER_LIMIT = 64 << 20  # what the engine sends is the engine's own; this only stops nonsense
Buffer = bytes | bytearray | memoryview


def send(channel: socket.socket, header: dict[str, Any], buffers: Sequence[Buffer] = ()) -> None:
    """Send one message whole."""
    sizes = [memoryview(buffer).nbytes for buffer in buffers]
    text = json.dumps({**header, "buffers": sizes}, allow_nan=False).encode()
    channel.sendall(struct.pack(">I", len(text)) + text)
    for buffer in buffers:
        channel.sendall(buffer)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[socket.socket]] | None:
    """Return the next header and the sockets that came with it, None when the engine has gone."""
    prefix, descriptors = _receive_prefix(channel)
    if prefix is None:
        return None
    (length,) = struct.unpack(">I", prefix)
    if length > HEADER_LIMIT:
        raise ValueError(f"a header of {length} bytes")
    text = _receive_exactly(channel, length)
    if text is None:
        return None
    header: dict[str, Any] = json.loads(text)
    return header, [socket.socket(fileno=descriptor) for descriptor in descriptors]


def _receive_prefix(channel: socket.socket) -> tuple[bytes | None, list[int]]:
    space = socket.CMSG_SPACE(array.array("i").itemsize)
    data, ancillary, _, _ = channel.recvmsg(4, space)
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    if data and len(data) < 4:
        rest = _receive_exactly(channel, 4 - len(data))
        data = data + rest if rest is not None else b""
    return data or None, list(descriptors)


def _receive_exactly(channel: socket.socket, length: int) -> bytes | None:
    parts: list[bytes] = []
    while length:
        part = channel.recv(min(length, 1 << 20))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
