"""Plain values as TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def write_toml(content: Mapping[str, Any]) -> str:
    """Return a TOML document of texts, numbers, booleans, lists and tables; None is left out."""
    return "\n".join(_table(content, ())).lstrip("\n") + "\n"


def _table(content: Mapping[str, Any], path: tuple[str, ...], *, header: str = "") -> Iterator[str]:
    nested = {key: value for key, value in content.items() if _is_nested(value)}
    if path:
        yield from ("", header or f"[{_dotted(path)}]")
    for key, value in content.items():
        if key not in nested and value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in nested.items():
        below = (*path, key)
        if isinstance(value, Mapping):
            yield from _table(value, below)
        else:
            for item in value:
                yield from _table(item, below, header=f"[[{_dotted(below)}]]")


def _is_nested(value: object) -> bool:
    is_tables = isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping) or is_tables


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(_key(part) for part in path)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    return repr(value)
