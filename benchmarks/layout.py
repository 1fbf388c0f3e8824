"""Y: row-major or column-major blocks, by what participants do with a frame that maps them."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measure import Result, against, take_turns

ROWS, FEATURES, MOONS = 1_000_000, 100, 250
ROUNDS = 3
Work = Callable[[pd.DataFrame], object]


def run(scale: int) -> Result:
    """Measure a frame of 1M rows x 100 float32, times the scale in rows, mapped from a file of each order."""
    rows = ROWS * scale
    with tempfile.TemporaryDirectory(prefix="opencrunch-bench-") as name:
        paths = _write(Path(name), rows)
        moon = np.repeat(np.arange(MOONS), -(-rows // MOONS))[:rows]
        works = _works(moon, np.random.default_rng(1).standard_normal(rows, np.float32))
        seconds = take_turns(
            {
                f"{work}, {order}": _on(paths[order], rows, order, function)
                for work, function in works.items()
                for order in ("column-major", "row-major")
            },
            rounds=ROUNDS,
        )
    baselines = {f"{work}, row-major": f"{work}, column-major" for work in works}
    return Result(
        benchmark="layout",
        scale=scale,
        workload=f"{rows:,} rows x {FEATURES} float32, mapped privately, all in the page cache",
        unit="call",
        cases=against(seconds, baselines),
    )


def _write(directory: Path, rows: int) -> dict[str, Path]:
    values = np.random.default_rng(0).standard_normal((rows, FEATURES), np.float32)
    paths = {order: directory / f"{order}.bin" for order in ("row-major", "column-major")}
    values.tofile(paths["row-major"])
    np.asfortranarray(values).T.tofile(paths["column-major"])
    return paths


def _works(moon: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> dict[str, Work]:
    from sklearn.linear_model import Ridge

    window = slice(-len(moon) // 5, None)
    known = moon < MOONS - 4
    return {
        "fit Ridge on X.values": lambda X: Ridge().fit(X.values, target),
        "sum X.values": lambda X: X.values.sum(),
        "sum the last fifth of the rows": lambda X: X.iloc[window].to_numpy().sum(),
        "select rows by a mask": lambda X: X.loc[known],
        "rank one column": lambda X: X["f7"].rank(),
        "mean of one column": lambda X: X["f7"].mean(),
        "mean of each column": lambda X: X.mean(),
        "groupby moon, mean": lambda X: X.groupby(moon).mean(),
        "copy, groupby moon, mean": lambda X: X.copy().groupby(moon).mean(),
    }


def _on(path: Path, rows: int, order: str, function: Work) -> Callable[[], object]:
    return lambda: function(_frame(path, rows, order))


def _frame(path: Path, rows: int, order: str) -> pd.DataFrame:
    """Return a frame that maps the file anew, as each call of a submission gets it."""
    with path.open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    values = np.frombuffer(view, np.float32)
    block = values.reshape(rows, FEATURES) if order == "row-major" else values.reshape(FEATURES, rows).T
    return pd.DataFrame(block, columns=[f"f{number}" for number in range(FEATURES)], copy=False)
