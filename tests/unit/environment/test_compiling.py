"""The program that compiles inside the sandbox: every frame is whole, whatever the sources are."""

from __future__ import annotations

import json
import resource
import socket
import struct
import subprocess
import sys
from pathlib import Path

from opencrunch.environment.bytecode import sources
from opencrunch.environment.chamber import source_of

END = 0xFFFFFFFF


def compile_all(root: Path, names: list[str], *, cpu_seconds: int | None = None) -> dict[str, bytes]:
    """Run the program without a sandbox on sources that are known; return the bytecode by name."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", "-S", "-B", "-c", source_of("compiling"), str(theirs.fileno())]

    def bound() -> None:
        if cpu_seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))

    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], preexec_fn=bound)
    theirs.close()
    request = json.dumps({"root": str(root), "files": names, "workers": 2}).encode()
    ours.sendall(struct.pack("<I", len(request)) + request)
    results: dict[str, bytes] = {}
    with ours, ours.makefile("rb") as stream:
        while True:
            number, length = struct.unpack("<II", stream.read(8))
            if number == END:
                break
            results[names[number]] = stream.read(length)
    assert process.wait(30) == 0
    return results


def test_each_module_gets_its_own_bytecode(tmp_path: Path) -> None:
    names = [f"m{i}.py" for i in range(200)]
    for name in names:
        (tmp_path / name).write_text(f"value = {name!r}\n" * 50)
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "binary.py").write_bytes(b"\0\xff")
    results = compile_all(tmp_path, [*names, "broken.py", "binary.py", "absent.py"])
    assert results.keys() == set(names)
    assert all(name.encode() in results[name] for name in names)


def test_a_source_that_kills_its_compiler_costs_only_its_own_bytecode(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "z.py"):
        (tmp_path / name).write_text("value = 1\n")
    (tmp_path / "endless.py").write_text("x = 1 + y\n" * 390_000)
    names = ["a.py", "b.py", "endless.py", "z.py"]
    assert compile_all(tmp_path, names).keys() == set(names)
    assert compile_all(tmp_path, names, cpu_seconds=1).keys() == {"a.py", "b.py", "z.py"}


def test_tests_and_other_files_are_not_worth_compiling(tmp_path: Path) -> None:
    for name in ("p/__init__.py", "p/tests/test_x.py", "p/data.txt", "q.py", "p/__pycache__/old.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sources(tmp_path) == ["q.py", "p/__init__.py"]
