"""The bundled example: its features know nothing of the future, targets and files are as promised."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "sp500"
TICKERS = ["A", "B", "C", "D", "E"]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """Give make_data.py as a module."""
    spec = importlib.util.spec_from_file_location("make_data", EXAMPLE / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_data"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_data"]


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """Give two years of random daily prices, the last week of them cut short."""
    days = pd.bdate_range("2000-01-03", "2002-01-02")
    steps = np.random.default_rng(0).normal(0, 0.02, size=(len(days), len(TICKERS)))
    return pd.DataFrame(100 * np.exp(steps.cumsum(axis=0)), index=days, columns=TICKERS)


def test_no_feature_changes_with_later_prices(script: ModuleType, prices: pd.DataFrame) -> None:
    X, _ = script.make(prices)
    ends = script.week_ends(prices.index)
    first = int(np.searchsorted(ends, script.WARM_UP))
    week = int(X["week"].max()) // 2
    day = ends[first + week]
    changed = prices.copy()
    changed.iloc[day + 1 :] *= np.random.default_rng(1).uniform(0.5, 2, changed.iloc[day + 1 :].shape)

    other, _ = script.make(changed)

    known = X["week"] <= week
    pd.testing.assert_frame_equal(X[known], other[known], check_exact=True)
    assert not X[~known].equals(other[~known])


def test_every_feature_follows_the_week_s_own_last_price(script: ModuleType, prices: pd.DataFrame) -> None:
    X, _ = script.make(prices)
    day = script.week_ends(prices.index)[int(np.searchsorted(script.week_ends(prices.index), script.WARM_UP))]
    changed = prices.copy()
    changed.iloc[day] *= [2.0, 0.5, 3.0, 0.4, 1.0]

    other, _ = script.make(changed)

    rows = X["week"] == 0
    same = [name for name in X if X.loc[rows, name].equals(other.loc[rows, name])]
    assert same == ["week", "ticker", "ret_52w_4w"]  # the last one leaves the latest four weeks out


def test_features_do_not_tell_the_level_of_a_price(script: ModuleType, prices: pd.DataFrame) -> None:
    X, _ = script.make(prices)
    scaled, _ = script.make(prices * [1.0, 2.0, 4.0, 8.0, 16.0])
    pd.testing.assert_frame_equal(X, scaled, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "weeks"), [("rank_1w", 1), ("rank_4w", 4)])
def test_targets_are_the_centred_ranks_of_the_returns_to_come(
    script: ModuleType, prices: pd.DataFrame, name: str, weeks: int
) -> None:
    _, y = script.make(prices)
    fridays = prices.groupby(prices.index.to_period("W-SUN")).tail(1).iloc[:-1]  # without the week cut short
    start = len(fridays) - 4 - (int(y["week"].max()) + 1)
    for week, rows in y.groupby("week"):
        now = fridays.iloc[start + week]
        returns = fridays.iloc[start + week + weeks] / now - 1
        order = sorted(TICKERS, key=lambda ticker: returns[ticker])
        expected = [(order.index(ticker) + 0.5) / len(TICKERS) - 0.5 for ticker in TICKERS]
        assert rows["ticker"].tolist() == TICKERS
        np.testing.assert_allclose(rows[name], expected, atol=1e-6)


def test_equal_returns_share_a_rank_of_mean_zero(script: ModuleType) -> None:
    ranks = script.centred_ranks(pd.DataFrame([[1.0, 1.0, 3.0, 0.0]]))
    assert ranks.iloc[0].tolist() == [0.0, 0.0, 0.375, -0.375]


def test_the_embargo_is_the_smallest_that_hides_unknown_targets(script: ModuleType) -> None:
    competition = tomllib.loads((EXAMPLE / "competition.toml").read_text())
    moon, longest = 100, max(script.HORIZONS.values())
    newest_seen = moon - competition["embargo"] - 1
    assert (
        newest_seen + longest == moon
    )  # known at the close that the prediction is made at, not a week before


def test_no_released_target_covers_a_week_of_the_public_split(script: ModuleType) -> None:
    splits = tomllib.loads((EXAMPLE / "competition.toml").read_text())["splits"]
    assert splits["public"]["first"] >= splits["local"]["last"] + max(script.HORIZONS.values())


def test_the_committed_tables_are_what_the_readme_promises(script: ModuleType) -> None:
    X = pd.read_parquet(EXAMPLE / "data" / "X.parquet")
    y = pd.read_parquet(EXAMPLE / "data" / "y.parquet")
    features = list(X.columns[2:])
    assert X.shape == (1665 * 20, 33)
    assert list(y.columns) == ["week", "ticker", "rank_1w", "rank_4w"]
    assert X[["week", "ticker"]].equals(y[["week", "ticker"]])
    assert X["week"].tolist() == sorted([*range(1665)] * 20)
    assert (X.groupby("week")["ticker"].nunique() == 20).all()
    assert {str(X[name].dtype) for name in features} == {"float32"}
    assert np.isfinite(X[features].to_numpy()).all()
    assert np.abs(y.groupby("week")[["rank_1w", "rank_4w"]].mean().to_numpy()).max() < 1e-6
    assert y[["rank_1w", "rank_4w"]].abs().max().max() == np.float32(0.475)
