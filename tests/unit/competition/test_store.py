"""The prepared store holds what the organiser's files hold, is built once, and appears whole."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crunch.runner.frames import read_frame
from opencrunch.competition import build, fingerprint
from opencrunch.competition.build import prepare
from opencrunch.competition.file import load
from opencrunch.competition.store import Store, open_store
from opencrunch.errors import PlatformError

Report = Callable[..., list[str]]


def everything(store: Store, table: str) -> pd.DataFrame:
    return store.frame(table, slice(0, store.table(table)["rows"]), store.column_names(table))


def by_moon(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("week", kind="stable").reset_index(drop=True)


def test_rows_come_back_with_their_dtypes_sorted_by_moon(small: Any, cache: Path) -> None:
    store = prepare(load(small.write()), cache)
    read_back = pd.read_parquet(small.path / "X.parquet")
    pd.testing.assert_frame_equal(everything(store, "X"), by_moon(read_back))
    assert store.moons.tolist() == list(range(12))
    assert store.offsets.tolist() == list(range(0, 65, 5))


def test_y_has_the_order_of_X_and_every_target_stays_with_its_key(small: Any, cache: Path) -> None:
    store = prepare(load(small.write()), cache)
    X, y = everything(store, "X"), everything(store, "y")
    assert (X[["week", "ticker"]].to_numpy() == y[["week", "ticker"]].to_numpy()).all()
    expected = small.y.set_index(["week", "ticker"])["rank"]
    assert y.set_index(["week", "ticker"])["rank"].to_dict() == expected.to_dict()


def test_the_runner_reads_the_same_frames_from_the_files(small: Any, cache: Path) -> None:
    store = prepare(load(small.write()), cache)
    for table in ("X", "y"):
        frame = read_frame(store.table(table), str(store.path), 7, 31)
        expected = everything(store, table).iloc[7:31].reset_index(drop=True)
        pd.testing.assert_frame_equal(frame, expected)


def test_a_column_is_read_by_name_and_rows(small: Any, cache: Path) -> None:
    store = prepare(load(small.write()), cache)
    frame = by_moon(small.X)
    rows = store.rows(2, 3)
    assert (rows.start, rows.stop) == (10, 20)
    assert store.column("X", "ticker", rows).tolist() == frame["ticker"][10:20].tolist()
    assert store.column("X", "a", rows).tolist() == frame["a"][10:20].tolist()
    texts = [None if pd.isna(value) else value for value in frame["text"][10:20]]
    assert store.column("X", "text", rows).tolist() == texts
    sectors = [None if pd.isna(value) else value for value in frame["sector"][10:20]]
    assert store.column("X", "sector", rows).tolist() == sectors


def test_moons_without_rows_are_an_empty_range(small: Any, cache: Path) -> None:
    store = prepare(load(small.write()), cache)
    assert store.rows(100, 200) == slice(60, 60)
    assert store.rows(-5, -1) == slice(0, 0)
    assert store.rows(3, 2) == slice(15, 15)
    assert len(store.frame("X", store.rows(100, 200), store.column_names("X"))) == 0


def test_adjacent_columns_of_one_dtype_are_one_block(small: Any, cache: Path) -> None:
    table = prepare(load(small.write()), cache).table("X")
    kinds = [(block["kind"], block["width"]) for block in table["blocks"]]
    assert kinds == [
        ("plain", 1), ("string", 1), ("plain", 2), ("plain", 1), ("string", 1), ("category", 1), ("plain", 1),
        ("plain", 1), ("datetime-tz", 1), ("plain", 1),
    ]  # fmt: skip
    assert [column["name"] for column in table["columns"]] == list(small.X.columns)


def test_integers_with_missing_values_become_floats_and_whole_moons_integers(small: Any, cache: Path) -> None:
    small.X["n"] = pd.array([None, *range(59)], dtype="Int32")
    small.X["week"] = small.X["week"].astype(float)
    store = prepare(load(small.write()), cache)
    frame = everything(store, "X")
    assert frame["week"].dtype == np.int64
    assert frame["n"].dtype == np.float64
    assert np.isnan(frame["n"][0])


def test_dates_and_columns_without_values_are_kept(small: Any, cache: Path) -> None:
    small.X["date"] = small.X["day"].dt.date
    small.X["nothing"] = [None] * 60
    frame = everything(prepare(load(small.write()), cache), "X")
    assert frame["date"].dtype == "datetime64[s]"
    assert (frame["date"] == by_moon(small.X)["day"]).all()
    assert frame["nothing"].dtype == np.float64
    assert frame["nothing"].isna().all()


def test_column_names_with_dots_are_names(small: Any, cache: Path) -> None:
    small.X["c.text"], small.X["c"] = "dotted", "plain"
    small.X["n.x"], small.X["n"] = 1.0, 2.0
    frame = everything(prepare(load(small.write()), cache), "X")
    assert (frame["c.text"][0], frame["c"][0], frame["n.x"][0], frame["n"][0]) == (
        "dotted",
        "plain",
        1.0,
        2.0,
    )


def test_csv_gives_what_it_says(small: Any, cache: Path) -> None:
    small.replace('X = "X.parquet"', 'X = "X.csv"').replace('y = "y.parquet"', 'y = "y.csv"')
    path = small.write()
    small.X[["week", "ticker", "a", "b", "text"]].to_csv(path / "X.csv", index=False)
    small.y.replace({"ticker": {"t0": "NA"}}).to_csv(path / "y.csv", index=False)
    text = (path / "X.csv").read_text().replace(",t0,", ",NA,")
    (path / "X.csv").write_text(text)
    frame = everything(prepare(load(path), cache), "X")
    assert frame["ticker"][0] == "NA"  # a ticker, not a missing value
    assert frame["a"].dtype == np.float64
    np.testing.assert_allclose(frame["b"], by_moon(small.X)["b"].astype(float), rtol=1e-6)


def test_several_files_are_one_table(small: Any, cache: Path) -> None:
    whole = prepare(load(small.write()), cache)
    small.replace('X = "X.parquet"', 'X = ["X1.parquet", "X2.parquet"]')
    path = small.write()
    small.X[:20].to_parquet(path / "X1.parquet", index=False)
    small.X[20:].to_parquet(path / "X2.parquet", index=False)
    assert prepare(load(path), cache).digest == whole.digest


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), group=st.integers(1, 60))
def test_the_order_of_ys_rows_and_row_groups_do_not_change_the_content(
    small: Any, cache: Path, seed: int, group: int
) -> None:
    expected = prepare(load(small.write()), cache).digest
    small.X.to_parquet(small.path / "X.parquet", index=False, row_group_size=group)
    small.y.sample(frac=1, random_state=seed).to_parquet(small.path / "y.parquet", index=False)
    assert prepare(load(small.path), cache).digest == expected


def test_what_is_built_is_found_again(small: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(load(small.write()), cache)
    monkeypatch.setattr(build, "_build", lambda *arguments: pytest.fail("built again"))
    again = prepare(load(small.path), cache)
    assert (again.path, again.digest) == (first.path, first.digest)


def test_an_unchanged_file_is_not_read_again(
    small: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    competition = load(small.write())
    for name in ("X.parquet", "y.parquet"):
        os.utime(small.path / name, (1e9, 1e9))
    monkeypatch.setattr(fingerprint, "_SETTLED", -1)
    first = prepare(competition, cache)
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", lambda *arguments: pytest.fail("read again"))
        assert prepare(competition, cache).digest == first.digest


def test_a_file_of_equal_size_and_time_is_read_again(
    small: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "_SETTLED", -1)
    first = prepare(load(small.write()), cache)
    file = small.path / "X.parquet"
    before = file.stat()
    small.X.loc[0, "a"] = np.float32(5)
    small.write()
    os.truncate(file, max(file.stat().st_size, before.st_size))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert prepare(load(small.path), cache).digest != first.digest


def test_groups_and_splits_may_change_without_a_new_store(small: Any, cache: Path, problems: Report) -> None:
    first = prepare(load(small.write()), cache)
    small.replace("last = 11", "last = 10")
    assert prepare(load(small.write()), cache).path == first.path
    small.replace("first = 9\nlast = 10", "first = 90\nlast = 99")
    assert "splits.private" in problems(prepare, load(small.write()), cache)[0]


def test_digests_are_chained_so_that_later_rows_leave_earlier_ones(small: Any, cache: Path) -> None:
    first = prepare(load(small.write()), cache)
    small.X.loc[small.X["week"] == 8, "a"] += 1
    second = prepare(load(small.write()), cache)
    assert first.digest != second.digest
    for moon in range(12):
        assert (first.digest_until("X", moon) == second.digest_until("X", moon)) == (moon < 8)
        assert first.digest_until("y", moon) == second.digest_until("y", moon)
    assert first.digest_until("X", -1) == ""
    assert first.digest_until("X", 50) == first.digest_until("X", 11)
    assert len({first.digest_until("X", moon) for moon in range(12)}) == 12


def test_every_kind_of_column_bears_on_the_digest(small: Any, cache: Path) -> None:
    digests = {prepare(load(small.write()), cache).digest}
    original = small.X
    changes: dict[str, Any] = {
        "text": "other", "sector": "high", "flag": not original.loc[3, "flag"],
        "day": pd.Timestamp("1999-01-01"), "age": pd.Timedelta("9D"), "small": 77,
        "moment": pd.Timestamp("1999-01-01", tz="Europe/Paris"),
    }  # fmt: skip
    for name, value in changes.items():
        small.X = original.copy()
        small.X.loc[3, name] = value
        digests.add(prepare(load(small.write()), cache).digest)
    assert len(digests) == len(changes) + 1


def test_others_may_read_the_store_and_nobody_need_write_it(small: Any, cache: Path) -> None:
    old = os.umask(0o077)
    try:
        path = prepare(load(small.write()), cache).path
    finally:
        os.umask(old)
    for directory in (path, path.parent, cache):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o644}


def test_a_store_that_a_crash_left_short_is_built_again(small: Any, cache: Path) -> None:
    first = prepare(load(small.write()), cache)
    os.truncate(first.path / "X.0.bin", 8)
    with pytest.raises(PlatformError, match=r"X\.0\.bin has 8 bytes"):
        open_store(first.path)
    assert prepare(load(small.path), cache).digest == first.digest


def test_a_build_that_fails_leaves_nothing(small: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("opencrunch.competition.blocks._chain", fail)
    with pytest.raises(PlatformError, match="no space"):
        prepare(load(small.write()), cache)
    assert [
        path.name for path in (cache / "stores").iterdir() if path.is_dir() and path.name != ".files"
    ] == []


def _prepare(directory: Path, cache: Path) -> str:
    return prepare(load(directory), cache).digest


def test_several_processes_build_one_store(small: Any, cache: Path) -> None:
    path = small.write()
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        digests = pool.starmap(_prepare, [(path, cache)] * 4)
    assert len(set(digests)) == 1
    stores = [entry for entry in (cache / "stores").iterdir() if not entry.name.startswith(".")]
    assert len(stores) == 1
    assert json.loads((stores[0] / "store.json").read_bytes())["digest"] == digests[0]
