"""Sizes and times as people write them: "8 GiB", "15 h"."""

from __future__ import annotations

import math
import re

SIZES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
TIMES = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?([A-Za-z]{1,3})", re.ASCII)


def parse_size(value: object) -> int:
    """Return a size in bytes, from an integer or a text such as "2 GiB"; else raise ValueError."""
    expected = f'expected a size above 0: an integer of bytes, or a text such as "2 GiB" ({", ".join(SIZES)})'
    number = _number(value, SIZES, expected, whole=True)
    if not 1 <= number < 1 << 60:
        raise ValueError(expected)
    return int(number)


def parse_time(value: object) -> float:
    """Return a time in seconds, from a number or a text such as "10 min"; else raise ValueError."""
    expected = f'expected a time above 0: seconds, or a text such as "10 min" ({", ".join(TIMES)})'
    number = float(_number(value, TIMES, expected, whole=False))
    if not 0.0 < number < 1e9:
        raise ValueError(expected)
    return number


def _number(
    value: object, units: dict[str, int] | dict[str, float], expected: str, *, whole: bool
) -> float | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 62 else 0
    if isinstance(value, float) and not whole and math.isfinite(value):
        return value
    match = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(expected)
    return float(match[1]) * units[match[2]]
