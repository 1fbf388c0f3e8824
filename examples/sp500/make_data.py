# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.3.4", "pandas==2.3.3", "pyarrow==21.0.0", "skfolio==0.20.1"]
# ///
"""Make data/X.parquet and data/y.parquet of this example: `uv run make_data.py`.

Same versions, same bytes. The input is the table of daily adjusted closing prices that skfolio bundles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

DAYS = {"1w": 5, "2w": 10, "4w": 21, "13w": 63, "26w": 126, "52w": 252}
HORIZONS = {"rank_1w": 1, "rank_4w": 4}  # weeks ahead
RANKED = ("ret_1w", "ret_4w", "ret_13w", "ret_52w", "vol_13w", "beta_52w", "drawdown_52w")
WARM_UP = max(DAYS.values())  # returns that the longest window needs


def make(prices: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return X and y, one row per week and ticker, from daily prices (days x tickers, no gaps).

    A week is numbered from the first one with all features; only weeks with all targets are returned.
    """
    ends = week_ends(prices.index)
    complete = ends[:-1]  # the last week of the table may lack days
    first = int(np.searchsorted(complete, WARM_UP))
    last = len(complete) - max(HORIZONS.values())
    rows = complete[first:last]
    X = _stack({name: table.iloc[rows] for name, table in features(prices).items()})
    y = _stack({name: table.iloc[first:last] for name, table in targets(prices.iloc[complete]).items()})
    return X, y


def week_ends(days: pd.Index) -> np.ndarray:
    """Return the position of the last trading day of each calendar week."""
    weeks = pd.DatetimeIndex(days).to_period("W-SUN").to_numpy()
    return np.flatnonzero(np.append(weeks[1:] != weeks[:-1], True))


def features(prices: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return tables (days x tickers) of what is known at each day's close.

    All are free of scale: the level of an adjusted price tells of later splits and dividends.
    """
    tables = {**_returns(prices), **_risk(prices), **_position(prices)}
    return {**tables, **{f"rank_{name}": centred_ranks(tables[name]) for name in RANKED}}


def targets(closes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return, from weekly closes, the centred ranks of the returns over the weeks to come."""
    return {name: centred_ranks(closes.shift(-weeks) / closes - 1) for name, weeks in HORIZONS.items()}


def centred_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Return each row's ranks, evenly spread between -0.5 and 0.5 with mean 0; ties share their mean rank."""
    count = table.notna().sum(axis=1)
    return table.rank(axis=1).sub(0.5).div(count, axis=0) - 0.5


def _returns(prices: pd.DataFrame) -> dict[str, pd.DataFrame]:
    tables = {f"ret_{name}": prices / prices.shift(days) - 1 for name, days in DAYS.items()}
    tables["ret_52w_4w"] = prices.shift(DAYS["4w"]) / prices.shift(DAYS["52w"]) - 1
    return tables


def _risk(prices: pd.DataFrame) -> dict[str, pd.DataFrame]:
    daily = prices / prices.shift(1) - 1
    market = daily.mean(axis=1)
    tables = {f"vol_{name}": _deviation(daily, DAYS[name]) for name in ("4w", "13w", "52w")}
    tables["vol_ratio"] = tables["vol_4w"] / tables["vol_52w"]
    spread = _deviation(market.to_frame(), DAYS["52w"]).iloc[:, 0]
    shared = _mean(daily.mul(market, axis=0), DAYS["52w"])
    covariance = shared.sub(_mean(daily, DAYS["52w"]).mul(_mean(market, DAYS["52w"]), axis=0))
    tables["beta_52w"] = covariance.div(spread**2, axis=0)
    tables["correlation_52w"] = covariance.div(spread, axis=0) / tables["vol_52w"]
    tables["skew_13w"] = _skew(daily, DAYS["13w"])
    tables["skew_52w"] = _skew(daily, DAYS["52w"])
    tables["best_day_4w"] = daily.rolling(DAYS["4w"]).max()
    tables["worst_day_4w"] = daily.rolling(DAYS["4w"]).min()
    tables["up_days_13w"] = _mean((daily > 0).astype(float).where(daily.notna()), DAYS["13w"])
    return tables


def _position(prices: pd.DataFrame) -> dict[str, pd.DataFrame]:
    tables = {f"average_gap_{days}d": prices / _mean(prices, days) - 1 for days in (20, 50, 200)}
    tables["drawdown_13w"] = prices / prices.rolling(DAYS["13w"]).max() - 1
    tables["drawdown_52w"] = prices / prices.rolling(DAYS["52w"]).max() - 1
    tables["rise_52w"] = prices / prices.rolling(DAYS["52w"]).min() - 1
    return tables


def _mean(table: pd.DataFrame | pd.Series, days: int) -> pd.DataFrame | pd.Series:
    return table.rolling(days).mean()


def _deviation(table: pd.DataFrame, days: int) -> pd.DataFrame:
    return table.rolling(days).std(ddof=0)


def _skew(table: pd.DataFrame, days: int) -> pd.DataFrame:
    return table.rolling(days).skew()


def _stack(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per week and ticker: week, ticker, then the tables as float32 columns."""
    first = next(iter(tables.values()))
    weeks, tickers = first.shape
    keys = {
        "week": np.repeat(np.arange(weeks, dtype=np.int32), tickers),
        "ticker": np.tile(first.columns.to_numpy(dtype=object), weeks),
    }
    values = {name: table.to_numpy(dtype=np.float32).ravel() for name, table in tables.items()}
    return pd.DataFrame({**keys, **values})


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet: columns of ranks with a dictionary, other floats with their bytes split."""
    splits = [name for name in table if table[name].dtype == np.float32 and not name.startswith("rank_")]
    table.to_parquet(
        path,
        index=False,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table if name not in splits],
        column_encoding=dict.fromkeys(splits, "BYTE_STREAM_SPLIT"),
    )


def main() -> None:
    """Write the two tables beside this script."""
    from skfolio.datasets import load_sp500_dataset

    out = Path(__file__).parent / "data"
    out.mkdir(exist_ok=True)
    prices = load_sp500_dataset()
    for name, table in zip(("X", "y"), make(prices), strict=True):
        path = out / f"{name}.parquet"
        write(table, path)
        print(f"{path}: {len(table):,} rows, {table.shape[1]} columns, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
