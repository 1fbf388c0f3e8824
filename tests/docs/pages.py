"""The pages of the documentation: their blocks, tables, links and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md")]
)  # fmt: skip
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return a page's fenced blocks of some languages."""
    found = _FENCE.finditer(page.read_text("utf-8"))
    return [Block(page=page, language=match[2], text=match[3]) for match in found if match[2] in languages]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def inline_code(page: Path) -> list[str]:
    """Return what stands between backticks in the prose, line breaks taken as spaces."""
    return _CODE.findall(re.sub(r"(?<=\S)\n(?=\S)", " ", prose(page)))


def links(page: Path) -> list[str]:
    """Return the targets of a page's links that lead to no other site."""
    return [target for target in _LINK.findall(prose(page)) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """Return what stands below a heading of the second level, "" where there is none."""
    parts = re.split(r"^## (.+)\n", prose(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(heading, "")


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of the rows of all tables, without their headings."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("|") and not _is_rule(line) and not _is_rule(following):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _is_rule(line: str) -> bool:
    return line.startswith("|") and set(line) <= set("|- :")


def name(page: Path) -> str:
    """Return a page's path for the name of a test."""
    return str(page.relative_to(ROOT))
