"""What a submission asks for: its requirements file, read strictly."""

from __future__ import annotations

import codecs
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import DependencyError

DEFAULT = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "joblib", "tqdm")

# This project stands in for them: installing one would put another `crunch` beside the platform's own.
OWN = frozenset({"crunch", "crunch-cli", "opencrunch"})

LARGEST_FILE = 1 << 18
LONGEST_LINE = 2000  # the grammar is parsed by recursion and versions become integers: both want a bound
MOST_REQUIREMENTS = 500
MOST_NAMED = 50  # refused lines that an error lists

_PLAIN = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)(==[0-9]{1,9}(?:\.[0-9]{1,9}){0,9})?")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_ADDRESS = re.compile(r"://|:\\\\|^(?:git|hg|svn|bzr)\+|^file:", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar|tar\.gz|tgz|tar\.bz2|tar\.xz|egg)$", re.IGNORECASE)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),  # what PowerShell's `pip freeze > requirements.txt` writes
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """The accepted requirements, normalised and sorted, with notes about what was left out."""

    lines: tuple[str, ...]
    default: bool = False
    notes: tuple[str, ...] = ()


def default_requirements() -> Requirements:
    """Return what a submission without a requirements file gets."""
    return Requirements(lines=tuple(sorted(DEFAULT)), default=True)


def read_requirements(path: Path) -> Requirements:
    """Return the requirements that a file holds.

    Raises DependencyError naming every line that cannot be accepted.
    """
    return parse_requirements(_read(path), path.name)


def parse_requirements(content: bytes, name: str = "requirements.txt") -> Requirements:
    """Return the requirements in a file's content; `name` is what errors call the file."""
    accepted: set[str] = set()
    notes: list[str] = []
    refused: list[str] = []
    for number, line in _logical_lines(_decode(content, name)):
        place = f"{name}, line {number}"
        try:
            distribution, requirement = _parse(line)
        except ValueError as error:
            refused.append(f"{place}: {_quoted(line)}: {error}")
            continue
        if distribution in OWN:
            notes.append(f"{place}: {_quoted(distribution)} is left out: the platform brings its own")
        else:
            accepted.add(requirement)
    if refused:
        raise DependencyError(_refusal_message(refused))
    if len(accepted) > MOST_REQUIREMENTS:
        raise DependencyError(
            f"{name} has {len(accepted)} requirements: at most {MOST_REQUIREMENTS} are taken"
        )
    return Requirements(lines=tuple(sorted(accepted)), notes=tuple(notes))


def _parse(line: str) -> tuple[str, str]:
    """Return a requirement's normalised name and text; raises ValueError with the reason for a refusal."""
    reason = _refusal(line)
    if reason is not None:
        raise ValueError(reason)
    plain = _PLAIN.fullmatch(line)
    if plain is not None:  # as good as every line of a frozen file; the library takes 40 ms to import
        name = re.sub(r"[-_.]+", "-", plain[1]).lower()
        return name, name + (plain[2] or "")
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        requirement = Requirement(line)
        requirement.name = canonicalize_name(requirement.name)
        return requirement.name, str(requirement)
    except (InvalidRequirement, ValueError, RecursionError) as error:
        raise ValueError(f"it is not a requirement: {_first_line(error)}") from error


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DependencyError(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DependencyError(f"{path.name} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST_FILE + 1)
    finally:
        os.close(descriptor)


def _decode(content: bytes, name: str) -> str:
    if len(content) > LARGEST_FILE:
        raise DependencyError(f"{name} is larger than {LARGEST_FILE >> 10} KiB: name packages only")
    encoding = "utf-8"
    for mark, marked in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            content, encoding = content[len(mark) :], marked
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DependencyError(
            f"{name} is not {encoding.upper()} text: byte {error.start} cannot be decoded; save it as UTF-8"
        ) from error


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Return what stands on lines that are neither blank nor comments, with the first line's number.

    A backslash at the end of a line joins the next one to it, unless a comment stands before it.
    """
    lines: list[tuple[int, str]] = []
    parts: list[str] = []
    start = 1
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        if not parts:
            start = number
        line = _COMMENT.sub("", raw)
        if line == raw and raw.endswith("\\"):
            parts.append(raw[:-1])
            continue
        parts.append(line)
        whole = "".join(parts).strip()
        parts = []
        if whole:
            lines.append((start, whole))
    whole = "".join(parts).strip()
    return [*lines, (start, whole)] if whole else lines


def _refusal(line: str) -> str | None:
    if len(line) > LONGEST_LINE:
        return f"it has more than {LONGEST_LINE} characters"
    if not line.isprintable() and any(not c.isprintable() and c != "\t" for c in line):
        return "it holds a control character"
    if line.startswith("-") or re.search(r"\s--?[A-Za-z]", line):
        return "options are not accepted: name packages and versions only"
    if _ADDRESS.search(line) or re.match(r"[^;]*@", line):
        return "addresses are not accepted: name a package of the index and a version"
    if line.startswith((".", "/", "~", "\\")) or "/" in line.split(";")[0] or _ARCHIVE.search(line):
        return "paths are not accepted: name a package of the index and a version"
    return None


def _refusal_message(refused: list[str]) -> str:
    shown = refused[:MOST_NAMED]
    if len(refused) > len(shown):
        shown.append(f"and {len(refused) - len(shown)} more lines")
    if len(shown) == 1:
        return shown[0]
    return "the requirements cannot be accepted:\n  " + "\n  ".join(shown)


def _quoted(text: str) -> str:
    """Return a text in quotes, cut, with everything escaped that a terminal would act on."""
    cut = text if len(text) <= 100 else text[:100] + "..."
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut) + '"'


def _first_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "too deeply nested"
    lines = str(error).splitlines()
    return "".join(c if c.isprintable() else "?" for c in lines[0][:200]) if lines else "it cannot be parsed"
