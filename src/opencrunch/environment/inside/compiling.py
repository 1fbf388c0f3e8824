"""Compile modules to bytecode and send it out; no line of them runs.

The request is a length and JSON: {"root", "files", "workers"}. The answer is one frame for each file that
compiles: its number in the request, the length, the content of its .pyc; then a frame with the number END.
"""

import importlib.util
import json
import marshal
import os
import selectors
import socket
import struct
import sys
import warnings

END = 0xFFFFFFFF
FRAME = struct.Struct("<II")
CHUNK = 48
UNCHECKED = 1  # PEP 552 flags: bytecode by hash that is never compared: the source never changes again


def compiled(root: str, name: str) -> bytes:
    """Return the content of a module's .pyc."""
    with open(os.path.join(root, name), "rb") as file:
        source = file.read()
    code = compile(source, name, "exec", dont_inherit=True)
    header = importlib.util.MAGIC_NUMBER + struct.pack("<I", UNCHECKED)
    return header + importlib.util.source_hash(source) + marshal.dumps(code)


def work(root: str, files: "list[tuple[int, str]]", output: int) -> None:
    """Write the frames of some files; runs in a child, since a hostile source can kill its compiler."""
    with open(output, "wb") as stream:
        for number, name in files:
            try:
                content = compiled(root, name)
            except (Exception, RecursionError):
                continue  # templates and sources for another Python: a run that imports one is told so then
            stream.write(FRAME.pack(number, len(content)) + content)


def start(root: str, files: "list[tuple[int, str]]") -> "tuple[int, int]":
    """Start a child on some files; return its pid and the pipe that it writes to."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            work(root, files, write)
        finally:
            os._exit(0)
    os.close(write)
    return pid, read


def whole_frames(data: bytes) -> "tuple[bytes, set[int]]":
    """Return the complete frames at the start of what a child wrote, and their numbers."""
    position, numbers = 0, set()
    while position + FRAME.size <= len(data):
        number, length = FRAME.unpack_from(data, position)
        if position + FRAME.size + length > len(data):
            break
        numbers.add(number)
        position += FRAME.size + length
    return data[:position], numbers


def main() -> None:
    """Serve one request."""
    control = socket.socket(fileno=int(sys.argv[1]))
    with control.makefile("rb") as stream:
        (length,) = struct.unpack("<I", stream.read(4))
        request = json.loads(stream.read(length))
    warnings.simplefilter("ignore")
    root, files = request["root"], list(enumerate(request["files"]))
    waiting = [files[i : i + CHUNK] for i in range(0, len(files), CHUNK)]
    chooser = selectors.DefaultSelector()
    while waiting or chooser.get_map():
        while waiting and len(chooser.get_map()) < request["workers"]:
            chunk = waiting.pop()
            pid, pipe = start(root, chunk)
            chooser.register(pipe, selectors.EVENT_READ, (pid, chunk, bytearray()))
        for key, _ in chooser.select():
            pid, chunk, data = key.data
            part = os.read(key.fd, 1 << 20)
            data += part
            if part:
                continue
            chooser.unregister(key.fd)
            os.close(key.fd)
            _, status = os.waitpid(pid, 0)
            frames, numbers = whole_frames(bytes(data))
            control.sendall(frames)
            if status and len(chunk) > 1:  # it died: everything that is left gets a child of its own
                waiting.extend([file] for file in chunk if file[0] not in numbers)
    control.sendall(FRAME.pack(END, 0))


main()
