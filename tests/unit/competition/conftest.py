"""A small competition in a directory, to be changed by a test before it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

FILE = """
name = "small"
title = "A small one"
format = "cross-sectional"
embargo = 1

[data]
X = "X.parquet"
y = "y.parquet"

[columns]
moon = "week"
id = "ticker"

[columns.targets.rank]

[splits.train]
first = 0
last = 5

[splits.local]
first = 6
last = 7

[splits.private]
first = 9
last = 11

[[metrics]]
name = "spearman"
function = "spearman"
target = "rank"
"""

Frames = tuple[pd.DataFrame, pd.DataFrame]


class Small:
    """A competition's directory: its file's text and its two frames."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = FILE
        self.X, self.y = frames()

    def replace(self, old: str, new: str) -> Small:
        """Replace a piece of the file's text that is there."""
        assert old in self.text
        self.text = self.text.replace(old, new)
        return self

    def write(self) -> Path:
        """Write file and data; return the directory."""
        self.path.mkdir(exist_ok=True)
        (self.path / "competition.toml").write_text(self.text, encoding="utf-8")
        self.X.to_parquet(self.path / "X.parquet", index=False)
        self.y.to_parquet(self.path / "y.parquet", index=False)
        return self.path


def frames() -> Frames:
    """Return X with one column of each kind, rows not sorted by moon, and y in another order."""
    random = np.random.default_rng(0)
    weeks, tickers = np.meshgrid(np.arange(12), [f"t{k}" for k in range(5)])
    count = weeks.size
    X = pd.DataFrame({"week": weeks.ravel(), "ticker": tickers.ravel()})
    X["a"] = random.normal(size=count).astype(np.float32)
    X["b"] = random.normal(size=count).astype(np.float32)
    X["b"] = X["b"].where(X["b"] > -1)
    X["small"] = random.integers(0, 9, count).astype(np.int16)
    X["text"] = [None if k % 7 == 0 else "é" * (k % 4) for k in range(count)]
    X["sector"] = pd.Categorical.from_codes(
        [k % 4 - 1 for k in range(count)], ["low", "high", "none"], ordered=True
    )
    X["flag"] = random.random(count) > 0.5
    X["day"] = pd.date_range("2020-01-01", periods=count).astype("datetime64[ns]")
    X["moment"] = pd.date_range("2020-01-01", periods=count, tz="Europe/Paris").astype(
        "datetime64[ns, Europe/Paris]"
    )
    X["age"] = pd.to_timedelta(np.arange(count), unit="s").astype("timedelta64[ns]")
    y = X[["ticker", "week"]].assign(rank=random.normal(size=count))
    return X, y.sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path / "competition")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def problems() -> Callable[[Callable[..., Any]], list[str]]:
    """A function that calls another and returns the problems that it reports."""
    from opencrunch.competition.problems import Problems

    def call(function: Callable[..., Any], *arguments: Any) -> list[str]:
        with pytest.raises(Problems) as caught:
            function(*arguments)
        return [str(problem) for problem in caught.value.problems]

    return call
