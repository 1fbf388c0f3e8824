"""Competitions for tests, small enough to be made anew for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

CANARY = 987654321.0
"""Added to every hidden number: easily found in whatever leaks; the first digits of each are 98765."""

FEATURES = ("f0", "f1", "f2", "f3")
LIMITS = {
    "call_time": '"20 s"',
    "memory": '"1 GiB"',
    "disk": '"256 MiB"',
    "resources": '"64 MiB"',
    "log": '"16 KiB"',
}
FIRST_HIDDEN = 9


def make_tiny(
    directory: Path,
    *,
    moons: int = 12,
    ids: int = 20,
    train_frequency: int = 0,
    embargo: int = 1,
    limits: Mapping[str, str] | None = None,
    extra: str = "",
) -> Path:
    """Write a competition: moons 0 to 5 train, 6 to 8 local, 9 and 10 public, 11 and later private.

    X has text ids and four float32 features, y two targets; public and private rows hold canaries. `limits`
    replaces entries of the file's table, `extra` is put before its first table.
    """
    directory.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = moons * ids
    moon = np.repeat(np.arange(moons), ids)
    keys = {"moon": moon, "id": [f"id-{n:03d}" for n in range(ids)] * moons}
    hidden = np.where(moon >= FIRST_HIDDEN, CANARY, 0.0)
    features = {name: (random.standard_normal(rows) + hidden).astype(np.float32) for name in FEATURES}
    targets = {name: random.standard_normal(rows) + hidden for name in ("first", "second")}
    pd.DataFrame({**keys, **features}).to_parquet(directory / "X.parquet")
    pd.DataFrame({**keys, **targets}).to_parquet(directory / "y.parquet")
    bounds = "\n".join(f"{name} = {value}" for name, value in {**LIMITS, **(limits or {})}.items())
    (directory / "competition.toml").write_text(
        f"""
name = "tiny"
title = "A tiny competition"
format = "cross-sectional"
embargo = {embargo}
train_frequency = {train_frequency}
{extra}

[data]
X = "X.parquet"
y = "y.parquet"

[columns]
moon = "moon"
id = "id"

[columns.features]
default = ["f*"]
even = ["f0", "f2"]

[columns.targets.first]
[columns.targets.second]
output = "guess"

[splits]
train = {{ first = 0, last = 5 }}
local = {{ first = 6, last = 8 }}
public = {{ first = 9, last = 10 }}
private = {{ first = 11, last = {moons - 1} }}

[limits]
{bounds}

[[metrics]]
name = "spearman"
function = "spearman"
target = "first"

[[metrics]]
name = "rmse"
function = "rmse"
target = "second"
"""
    )
    return directory
