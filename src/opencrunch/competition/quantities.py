"""Sizes and times as people write them: "2 GiB", "10 min", or plain numbers of bytes and seconds."""

from __future__ import annotations

import math
import re

_SIZES = {
    "B": 1,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_TIMES = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([A-Za-z]{1,3})", re.ASCII)

LARGEST_SIZE = 2**50
LONGEST_TIME = 366 * 86400.0


def size(value: object) -> int:
    """Return a number of bytes; raises ValueError with what was expected."""
    expected = f'a size such as "2 GiB" or "500 MB" ({", ".join(_SIZES)}), or a whole number of bytes'
    number = value if isinstance(value, int) and not isinstance(value, bool) else _read(value, _SIZES)
    if number is None or not 1 <= number <= LARGEST_SIZE:
        raise ValueError(f"{expected}, from 1 byte to 1024 TiB")
    return math.floor(number)


def seconds(value: object) -> float:
    """Return a number of seconds; raises ValueError with what was expected."""
    expected = f'a time such as "90 s" or "10 min" ({", ".join(_TIMES)}), or a number of seconds'
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    number = value if plain else _read(value, _TIMES)
    if not isinstance(number, int | float) or not 0.001 <= number <= LONGEST_TIME:
        raise ValueError(f"{expected}, from 1 ms to 366 days")
    return float(number)


def show_size(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count >= _SIZES[unit]:
            return (
                f"{count / _SIZES[unit]:.3g} {unit}"
                if count % _SIZES[unit]
                else f"{count // _SIZES[unit]} {unit}"
            )
    return f"{count} B"


def _read(value: object, units: dict[str, int] | dict[str, float]) -> float | int | None:
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    by_case = {unit.lower(): factor for unit, factor in units.items()}
    factor = units.get(match[2], by_case.get(match[2].lower()))
    if factor is None:
        return None
    return (float(match[1]) if "." in match[1] else int(match[1])) * factor
