"""One cache for the session, where the default set is built once, by eight processes at the same moment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from opencrunch.sandbox.port import Sandbox
from opencrunch.sandbox.select import select

BUILDERS = 8

ENSURE = """
import json, sys
from pathlib import Path
from opencrunch.environment import ensure
requirements = Path(sys.argv[2]) if len(sys.argv) > 2 else None
environment = ensure(
    requirements, python=None, cache=Path(sys.argv[1]), progress=lambda text: print("-", text, flush=True)
)
print(json.dumps({"digest": environment.digest, "built": environment.built, "path": str(environment.path)}))
"""


Start = Callable[..., subprocess.Popen[str]]


def _start_ensure(cache: Path, requirements: Path | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ENSURE, str(cache), *([str(requirements)] if requirements else [])]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="session")
def start_ensure() -> Start:
    """Starts a process that makes sure of an environment and prints its progress, then what it got."""
    return _start_ensure


def new_cache() -> Path:
    """Return a directory that the sandbox's user reaches, unlike pytest's own when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="opencrunch-tests-"))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    folder = new_cache()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def fresh_cache() -> Iterator[Path]:
    folder = new_cache()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return select("auto")


@pytest.fixture(scope="session")
def answers(cache: Path) -> list[dict[str, Any]]:
    """What eight processes got that wanted the default environment at once."""
    builders = [_start_ensure(cache) for _ in range(BUILDERS)]
    results = []
    for builder in builders:
        output, errors = builder.communicate(timeout=280)
        assert builder.returncode == 0, errors
        results.append(json.loads(output.splitlines()[-1]))
    return results


class Wheels:
    """A directory of wheels that the installer takes beside the index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        name: str,
        files: Mapping[str, str | bytes],
        *,
        requires: str = "",
        tag: str = "py3-none-any",
        version: str = "1.0",
    ) -> None:
        """Write a wheel that holds some files."""
        information = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        if requires:
            metadata += f"Requires-Dist: {requires}\n"
        content: dict[str, str | bytes] = {
            **files,
            f"{information}/METADATA": metadata,
            f"{information}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        record = "".join(f"{path},,\n" for path in [*content, f"{information}/RECORD"])
        with zipfile.ZipFile(self.folder / f"{name}-{version}-{tag}.whl", "w") as archive:
            for path, text in content.items():
                archive.writestr(path, text)
            archive.writestr(f"{information}/RECORD", record)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheels:
    folder = tmp_path / "wheels"
    folder.mkdir()
    known = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    monkeypatch.setenv("UV_FIND_LINKS", ",".join([str(folder), *([known] if known else [])]))
    return Wheels(folder)
