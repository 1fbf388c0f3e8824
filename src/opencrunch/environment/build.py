"""Building an environment: in a private directory, checked in a sandbox, published by a rename."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DependencyError
from ..sandbox.port import Sandbox
from .bytecode import compile_bytecode
from .guard import guard
from .installer import install
from .interpreter import Interpreter
from .layout import Layout
from .lock import Lock
from .store import make_record, read_record
from .verification import verify

LARGEST_PATH_FILE = 1 << 16
_OWN = ("crunch", "opencrunch")


def build(
    lock: Lock, interpreter: Interpreter, layout: Layout, sandbox: Sandbox, progress: Callable[[str], None]
) -> bool:
    """Publish the environment of a lock unless it exists; return whether this call built it.

    Raises DependencyError (Unimportable, where only checking showed it) and PlatformError.
    """
    with guard(lock.environment, layout, progress):
        if read_record(lock.environment, layout) is not None:
            return False
        with private_directory(layout) as (folder, descriptor):
            _fill(folder, descriptor, lock, interpreter, sandbox, progress)
            target = layout.environments / lock.environment
            if target.exists():  # its record is unreadable: nothing that this version can use
                os.rename(target, layout.trash / secrets.token_hex(16))
            os.rename(folder, target)
    return True


def _fill(
    folder: Path,
    descriptor: int,
    lock: Lock,
    interpreter: Interpreter,
    sandbox: Sandbox,
    progress: Callable[[str], None],
) -> None:
    site_packages = folder / "site-packages"
    site_packages.mkdir()
    scratch = folder / "scratch"
    scratch.mkdir()
    (folder / "lock.txt").write_text(lock.text, encoding="utf-8")
    packages = lock.packages()
    progress(f"installing {len(packages)} packages for Python {interpreter.version}")
    install(folder / "lock.txt", site_packages, interpreter, scratch, held=descriptor)
    shutil.rmtree(scratch)
    tidy(site_packages)
    _refuse_own_names(site_packages)
    progress("checking that numpy, pandas and pyarrow can be imported")
    folder.chmod(0o755)
    verify(site_packages, interpreter, sandbox)
    progress("compiling bytecode")
    compiled = compile_bytecode(site_packages, interpreter, sandbox)
    size = make_readable(folder)
    record = make_record(lock, interpreter, path_file_notes(site_packages), size, compiled)
    (folder / "environment.json").write_bytes(record)
    (folder / "environment.json").chmod(0o644)


@contextmanager
def private_directory(layout: Layout) -> Iterator[tuple[Path, int]]:
    """Give a new directory for a build, with a descriptor that marks it as alive; removes what is left of it.

    Leftovers of builds that were killed go first: nobody holds their mark any more.
    """
    with guard("building", layout, lambda text: None):
        _remove_leftovers(layout)
        folder = layout.building / secrets.token_hex(16)
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield folder, descriptor
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(layout: Layout) -> None:
    for folder in layout.trash.iterdir():
        shutil.rmtree(folder, ignore_errors=True)
    for folder in layout.building.iterdir():
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def tidy(site_packages: Path) -> None:
    """Remove links and ready-made bytecode, which no wheel has to bring, and make the rest readable."""
    for folder, folders, files in os.walk(site_packages):
        for name in list(folders):
            path = _join(folder, name)
            if os.path.islink(path):
                folders.remove(name)
                os.unlink(path)
            elif name == "__pycache__":
                folders.remove(name)
                shutil.rmtree(path)
        for name in files:
            if not stat.S_ISREG(os.lstat(_join(folder, name)).st_mode):
                os.unlink(_join(folder, name))
    (site_packages / ".lock").unlink(missing_ok=True)  # uv's own
    make_readable(site_packages)


def make_readable(root: Path) -> int:
    """Give directories the mode 0755 and files 0644 or 0755, whatever the umask is; return the bytes held."""
    size = 0
    for folder, _, files in os.walk(root):
        os.chmod(folder, 0o755)
        for name in files:
            path = _join(folder, name)
            status = os.lstat(path)
            os.chmod(path, 0o755 if status.st_mode & 0o111 else 0o644)
            size += status.st_blocks * 512
    return size


def path_file_notes(site_packages: Path) -> list[str]:
    """Return a note for each .pth file: the runner neither runs its lines nor adds its paths."""
    notes: list[str] = []
    for path in sorted(site_packages.glob("*.pth")):
        with open(path, "rb") as file:
            lines = [line for line in file.read(LARGEST_PATH_FILE).splitlines() if line.strip()]
        if any(line.startswith((b"import ", b"import\t")) for line in lines):
            notes.append(f"{path.name!a} holds code for the start of Python; it is not run")
        elif any(not line.startswith(b"#") for line in lines):
            notes.append(f"{path.name!a} names further directories; they are not added")
    return notes


def _refuse_own_names(site_packages: Path) -> None:
    for name in _OWN:
        for path in (site_packages / name, site_packages / f"{name}.py"):
            if path.exists():
                raise DependencyError(
                    f'a requirement brings a module "{name}", which is the platform\'s own: leave it out'
                )


def _join(folder: str, name: str) -> str:
    return os.path.join(folder, name)
