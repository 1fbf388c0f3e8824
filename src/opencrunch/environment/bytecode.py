"""Bytecode for an environment: compiled inside a sandbox, written by the engine under names of its own."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from ..sandbox.port import Mount, Sandbox
from .chamber import converse, source_of
from .interpreter import Interpreter

SECONDS = 900.0
LARGEST_SOURCE = 4 << 20
LARGEST_RESULT = 32 << 20
END = 0xFFFFFFFF
_FRAME = struct.Struct("<II")
_TARGET = "/environment"


def compile_bytecode(site_packages: Path, interpreter: Interpreter, sandbox: Sandbox) -> int:
    """Compile the modules of an unpublished environment; return how many have bytecode now.

    Modules in directories named `tests` are left out: they are a third of all and hardly ever imported.
    A module that does not compile, or a compiler that a source kills, costs only its own bytecode.
    """
    names = sources(site_packages)
    written = _Results(site_packages, names, interpreter)
    if names:
        converse(
            sandbox,
            source_of("compiling"),
            interpreter,
            (Mount(source=site_packages, target=_TARGET),),
            lambda process: {"root": process.inside(_TARGET), "files": names, "workers": os.cpu_count() or 1},
            written.consume,
            seconds=SECONDS,
        )
    return written.count


def sources(site_packages: Path) -> list[str]:
    """Return the modules that are worth compiling, relative to site-packages, sorted."""
    found: list[str] = []
    for folder, folders, files in os.walk(site_packages):
        folders[:] = sorted(name for name in folders if name not in ("tests", "__pycache__"))
        inside = os.path.relpath(folder, site_packages)
        for name in sorted(files):
            path = os.path.normpath(os.path.join(inside, name))
            if name.endswith(".py") and os.stat(os.path.join(folder, name)).st_size <= LARGEST_SOURCE:
                found.append(path)
    return found


class _Results:
    """Takes frames and writes each file once, at the place that the engine knows for its number."""

    def __init__(self, site_packages: Path, names: list[str], interpreter: Interpreter) -> None:
        self.count = 0
        self._root = site_packages
        self._names = names
        self._tag = interpreter.cache_tag
        self._magic = bytes.fromhex(interpreter.magic)
        self._left = set(range(len(names)))

    def consume(self, buffer: bytearray) -> bool:
        """Write the files that are complete in a buffer; return whether no more come."""
        while len(buffer) >= _FRAME.size:
            number, length = _FRAME.unpack_from(buffer)
            if number == END or number not in self._left or length > LARGEST_RESULT:
                return True
            if len(buffer) < _FRAME.size + length:
                return False
            self._write(number, bytes(buffer[_FRAME.size : _FRAME.size + length]))
            del buffer[: _FRAME.size + length]
        return False

    def _write(self, number: int, content: bytes) -> None:
        self._left.discard(number)
        if content[:4] != self._magic:
            return
        source = self._root / self._names[number]
        folder = source.parent / "__pycache__"
        folder.mkdir(mode=0o755, exist_ok=True)
        with open(folder / f"{source.stem}.{self._tag}.pyc", "xb") as file:
            file.write(content)
        self.count += 1
