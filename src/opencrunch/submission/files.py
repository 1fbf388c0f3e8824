"""The files of a submission: which are taken, refused and left, and what they measure.

Rules: built-in exclusions, `.gitignore` (root and nested), no links, no path that leaves the directory or
collides with another when case is folded. `resources/` is taken apart, as the model.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opencrunch.errors import ParticipantError, UsageError

RESOURCES = "resources"
_ROOT_EXCLUSIONS = frozenset(
    {".git", ".crunch", ".crunchdao", ".config", "sample_data", "data", "prediction"}
)
_EXCLUSIONS = frozenset(
    {"__pycache__", ".ipynb_checkpoints", ".env", ".venv", "venv", ".DS_Store", "__MACOSX"}
)
_FILE_LIMIT = 200_000


class SubmissionError(ParticipantError):
    """The submission's files break a rule."""

    cause = "submission"


@dataclass(frozen=True, kw_only=True)
class File:
    """One file that is taken."""

    path: str  # relative, with /
    source: Path
    size: int
    executable: bool


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A submission's code and its shipped model."""

    directory: Path
    main: str
    code: tuple[File, ...]
    resources: tuple[File, ...]
    digest: str

    @property
    def requirements(self) -> Path | None:
        """The requirements file, None where the submission has none."""
        path = self.directory / "requirements.txt"
        return path if any(file.path == "requirements.txt" for file in self.code) else None


def read_submission(path: Path, *, code_limit: int, resources_limit: int) -> Submission:
    """Return what is taken of a submission's directory.

    Raises SubmissionError naming every refused file, or the largest ones where a limit is passed, and
    UsageError where there is no such directory.
    """
    if not path.is_dir():
        raise UsageError(f"'{path}' is not a directory; a submission is a directory with a main.py")
    directory = path.resolve()
    refused: list[str] = []
    files = list(_collect(directory, refused))
    refused += _colliding(files)
    if refused:
        shown = "\n  ".join(refused[:20])
        more = f"\n  and {len(refused) - 20} more" if len(refused) > 20 else ""
        raise SubmissionError(f"the submission holds files that are not taken:\n  {shown}{more}")
    code = tuple(file for file in files if not file.path.startswith(f"{RESOURCES}/"))
    resources = tuple(file for file in files if file.path.startswith(f"{RESOURCES}/"))
    _check_size("code", code, code_limit)
    _check_size("resources", resources, resources_limit)
    main = _find_main(directory, code)
    return Submission(
        directory=directory, main=main, code=code, resources=resources, digest=_digest((*code, *resources))
    )


def _find_main(directory: Path, code: tuple[File, ...]) -> str:
    names = {file.path for file in code}
    if "main.py" in names:
        return "main.py"
    if "main.ipynb" in names:
        raise SubmissionError(
            f"'{directory / 'main.ipynb'}' is a notebook, and this version runs scripts: save it as main.py"
        )
    raise SubmissionError(f"'{directory}' has no main.py, which defines train and infer")


def _collect(directory: Path, refused: list[str]) -> Iterator[File]:
    ignores = _Ignores()
    count = 0
    stack = [""]
    while stack:
        prefix = stack.pop()
        if not prefix.startswith(f"{RESOURCES}/"):
            ignores.read(directory, prefix)
        with os.scandir(directory / prefix) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            relative = prefix + entry.name
            if _excluded(relative, prefix) or ignores.match(relative, is_directory=entry.is_dir()):
                continue
            count += 1
            if count > _FILE_LIMIT:
                raise SubmissionError(f"the submission holds more than {_FILE_LIMIT:,} files")
            if problem := _problem(relative, entry):
                refused.append(f"{relative!r}: {problem}")
            elif entry.is_dir(follow_symlinks=False):
                if not _is_run(Path(entry.path)):
                    stack.append(relative + "/")
            else:
                seen = entry.stat(follow_symlinks=False)
                executable = bool(seen.st_mode & stat.S_IXUSR)
                yield File(path=relative, source=Path(entry.path), size=seen.st_size, executable=executable)


def _excluded(relative: str, prefix: str) -> bool:
    name = relative.removeprefix(prefix)
    if not prefix and name in _ROOT_EXCLUSIONS:
        return True
    return name in _EXCLUSIONS or name.endswith(".pyc")


def _is_run(directory: Path) -> bool:
    """Return whether a directory was written by a run: nothing of it belongs to a submission."""
    return (directory / "work" / "journal.db").is_file()


def _problem(relative: str, entry: os.DirEntry[str]) -> str | None:
    if entry.is_symlink():
        return "a symbolic link; put the file itself there"
    if relative == RESOURCES and not entry.is_dir():
        return "a file; resources is the model directory"
    if not entry.is_dir() and not entry.is_file():
        return "neither a file nor a directory"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in entry.name) or "\\" in entry.name:
        return "a name with control characters or backslashes"
    return None


def _colliding(files: list[File]) -> list[str]:
    seen: dict[str, str] = {}
    collisions = []
    for file in files:
        folded = unicodedata.normalize("NFC", file.path).casefold()
        if folded in seen:
            collisions.append(f"{file.path!r}: differs from {seen[folded]!r} by case only")
        seen[folded] = file.path
    return collisions


def _check_size(what: str, files: tuple[File, ...], limit: int) -> None:
    total = sum(file.size for file in files)
    if total > limit:
        largest = sorted(files, key=lambda file: -file.size)[:5]
        named = ", ".join(f"{file.path} ({file.size:,} bytes)" for file in largest)
        raise SubmissionError(
            f"the {what} measure {total:,} bytes, at most {limit:,} are taken; largest: {named}"
        )


def _digest(files: tuple[File, ...]) -> str:
    sha = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        with open(file.source, "rb") as source:
            content = hashlib.file_digest(source, "sha256").hexdigest()
        sha.update(f"{file.path}\0{int(file.executable)}\0{content}\n".encode())
    return sha.hexdigest()


class _Ignores:
    """The `.gitignore` files met on the way down; a nested one may take back what its parent left out."""

    def __init__(self) -> None:
        from pathspec import GitIgnoreSpec

        self._make = GitIgnoreSpec.from_lines
        self._specs: list[tuple[str, GitIgnoreSpec]] = []

    def read(self, directory: Path, prefix: str) -> None:
        try:
            text = (directory / prefix / ".gitignore").read_text("utf-8", "replace")
        except OSError:
            return
        try:
            self._specs.append((prefix, self._make(text.splitlines())))
        except ValueError as error:
            raise SubmissionError(f"'{prefix}.gitignore' cannot be read: {error}") from error

    def match(self, relative: str, *, is_directory: bool) -> bool:
        """Return whether the last pattern that speaks of a path leaves it out."""
        for prefix, spec in reversed(self._specs):
            if relative.startswith(prefix):
                path = relative.removeprefix(prefix) + ("/" if is_directory else "")
                verdict = spec.check_file(path).include
                if verdict is not None:
                    return verdict
        return False
