"""Marks in a competition's data, for a submission that looks for what is not known yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

STEM = 0xC0FFEE00  # the low half of each float64 of y is this plus the moon (0 to 255)


def mark(competition: Path) -> Path:
    """Put each row's moon into its targets, and into the last id of each moon; return the directory."""
    for name in ("X", "y"):
        path = competition / f"{name}.parquet"
        frame = pd.read_parquet(path)
        last = ~frame["moon"].duplicated(keep="last")
        frame["id"] = frame["id"].where(~last, [id_of(moon) for moon in frame["moon"]])
        for target in frame.columns.intersection(["first", "second"]):
            frame[target] = marked(frame[target].to_numpy(), frame["moon"].to_numpy())
        # Neither compressed nor in a dictionary, so that the marks stand in the file as they are.
        frame.to_parquet(path, index=False, compression=None, use_dictionary=False)
    return competition


def marked(values: Any, moons: Any) -> Any:
    """Return float64 values whose low halves name their moons."""
    high = (values.astype(np.float64).view(np.uint64) >> np.uint64(32)) << np.uint64(32)
    return (high | (STEM + moons).astype(np.uint64)).view(np.float64)


def id_of(moon: int) -> str:
    """Return the id that exists in one moon only."""
    return f"canary-{moon:04d}-zq7x"
