"""Copies of what a sandbox must read, made so that its user can: the runner, the submission."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import crunch
from opencrunch.subject import Subject
from opencrunch.submission.files import RESOURCES


def runner_directory(cache: Path) -> Path:
    """Return a directory that holds the `crunch` package alone, named by its content; made once."""
    package = Path(crunch.__file__).parent
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".typed", ".so"))
    sha = hashlib.sha256()
    for file in files:
        sha.update(f"{file.relative_to(package)}\0".encode() + file.read_bytes())
    target = cache / "runners" / sha.hexdigest()[:32]
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    for directory in (cache, target.parent):
        if directory.stat().st_uid == os.geteuid():
            directory.chmod(0o755)
    draft = target.with_name(f".{target.name}-{os.getpid()}")
    for file in files:
        copy = draft / "crunch" / file.relative_to(package)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    _make_readable(draft)
    try:
        os.replace(draft, target)
    except OSError:  # another process was faster
        shutil.rmtree(draft, ignore_errors=True)
    return target


def snapshot(subject: Subject, directory: Path) -> Subject:
    """Copy the submission's files aside and return the subject with the copy: later edits change no run.

    The copy is named by its content, so that it replaces no other run's.
    """
    submission = subject.submission
    target = directory / submission.digest[:32]
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    copies = {}
    for file in (*submission.code, *submission.resources):
        copy = target / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file.source, copy)
        copies[file.path] = replace(file, source=copy)
    (target / RESOURCES).mkdir(exist_ok=True)
    copy_of = replace(
        submission,
        directory=target,
        code=tuple(copies[file.path] for file in submission.code),
        resources=tuple(copies[file.path] for file in submission.resources),
    )
    return replace(subject, submission=copy_of)


def _make_readable(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
