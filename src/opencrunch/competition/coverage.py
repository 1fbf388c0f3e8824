"""Whether the file's feature groups and splits find columns and rows in the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from opencrunch.competition.file import FILE, Competition, matching
from opencrunch.competition.problems import Problem, shown, suggestion


def feature_problems(competition: Competition, names: Sequence[str]) -> Iterator[Problem]:
    """Yield the names and patterns of features that no column of X has."""
    roles = competition.columns
    columns = dict.fromkeys(name for name in names if name not in (roles.moon, roles.id))
    for group, patterns in roles.features.items():
        for pattern in patterns:
            if not matching(pattern, columns):
                is_pattern = any(character in pattern for character in "*?[")
                message = f"{shown(pattern)} matches no column of X; {suggestion(pattern, columns)}"
                if not is_pattern:
                    message = f"there is no column {shown(pattern)} in X; {suggestion(pattern, columns)}"
                yield Problem(file=FILE, key=f"columns.features.{group}", message=message)


def split_problems(competition: Competition, moons: npt.NDArray[np.int64]) -> Iterator[Problem]:
    """Yield the splits that no row lies in; `moons` are those of the data, ascending."""
    for name, split in competition.splits.items():
        start, stop = np.searchsorted(moons, split.first, "left"), np.searchsorted(moons, split.last, "right")
        if start == stop:
            have = f"they have {moons[0]} to {moons[-1]}" if len(moons) else "they have no row at all"
            yield Problem(
                file=FILE,
                key=f"splits.{name}",
                message=f"no row of the data has a moon from {split.first} to {split.last}; {have}",
            )
