"""The values that a call may ask for by name, apart from its own rows and moon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crunch.columns import Columns
from crunch.names import GROUP_PREFIX, available

MODEL_DIRECTORY = "resources"  # below the working directory, the same text in every call of every run


@dataclass(frozen=True)
class ColumnValue:
    """A value about column names, which the runner makes; None stands for all of them as one object."""

    name: str | None


def common_values(columns: Columns, *, embargo: int, gpu: bool) -> dict[str, Any]:
    """Return the values that are the same in every call of a run."""
    features = {
        feature
        for name, names in columns.parameters().items()
        if name.startswith(GROUP_PREFIX)
        for feature in names
    }
    return {
        "model_directory_path": MODEL_DIRECTORY,
        "data_directory_path": None,
        **{name: ColumnValue(name) for name in columns.parameters()},
        "column_names": ColumnValue(None),
        "number_of_features": len(features),
        "embargo": embargo,
        "has_gpu": gpu,
    }


def known_names(columns: Columns) -> dict[str, tuple[str, ...]]:
    """Return the names that have a value in each function of the cross-sectional format."""
    groups = tuple(
        name.removeprefix(GROUP_PREFIX) for name in columns.parameters() if name.startswith(GROUP_PREFIX)
    )
    return {name: available("cross-sectional", name, groups) for name in ("train", "infer")}
