"""The data are checked against the file: every broken rule is reported, with file, column and rows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from opencrunch.competition.build import prepare
from opencrunch.competition.check import examine, metric_problems
from opencrunch.competition.dtypes import REFUSALS, RULES, Form, Refusal, form_of
from opencrunch.competition.file import load

Report = Callable[..., list[str]]


def checked(small: Any, problems: Report) -> list[str]:
    """Write the competition and return its problems, once by the check and once by the build."""
    competition = load(small.write())
    found = problems(examine, competition)
    assert problems(prepare, competition, small.path.parent / "cache") == found
    assert not list((small.path.parent / "cache" / "stores").glob("[!.]*"))
    return found


def test_data_that_keep_all_rules_pass(small: Any) -> None:
    examined = examine(load(small.write()))
    assert examined.tables["X"].rows == examined.tables["y"].rows == 60


def test_all_broken_rules_are_reported_together(small: Any, problems: Report) -> None:
    small.replace(
        "[columns.targets.rank]", '[columns.features]\nx = ["zz_*", "smal"]\n[columns.targets.rank]'
    )
    small.replace("first = 9\nlast = 11", "first = 90\nlast = 99")
    small.X["amount"] = [Decimal(1)] * 60
    small.y.loc[[3, 4], "rank"] = [np.inf, -np.inf]
    assert checked(small, problems) == [
        'X.parquet: column "amount" is stored as decimal128(1, 0), and decimal is not supported; '
        "store float64",
        'competition.toml: columns.features.x: "zz_*" matches no column of X; there are: "a", "b", "small", '
        '"text", "sector", "flag", "day", "moment", "age", "amount"',
        'competition.toml: columns.features.x: there is no column "smal" in X; did you mean "small"?',
        'y.parquet: columns.targets.rank.input: column "rank" has 2 infinite value(s), in rows 3, 4 (counted '
        "from 0); expected finite numbers, or NaN where there is no target",
        "competition.toml: splits.private: no row of the data has a moon from 90 to 99; they have 0 to 11",
    ]


def test_a_missing_file_and_a_missing_column_are_reported_together(small: Any, problems: Report) -> None:
    small.replace('X = "X.parquet"', 'X = "Z.parquet"')
    small.y = small.y.rename(columns={"ticker": "tiker"})
    path = small.write()
    assert problems(examine, load(path)) == [
        f'Z.parquet: data.X: there is no such file in "{path}"',
        'y.parquet: columns.id: there is no column "ticker"; did you mean "tiker"?',
    ]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_that_cannot_be_read_is_named(small: Any, problems: Report, suffix: str) -> None:
    path = small.replace('X = "X.parquet"', f'X = "Z.{suffix}"').write()
    (path / f"Z.{suffix}").write_bytes(b'a,b\n1,2\n3\n"')
    found = problems(examine, load(path))
    assert len(found) == 1
    assert found[0].startswith(f"Z.{suffix}: data.X: the file cannot be read as {suffix}: ")


def test_a_file_that_is_damaged_within_is_named(small: Any, problems: Report) -> None:
    path = small.write()
    content = bytearray((path / "X.parquet").read_bytes())
    content[4:2000] = bytes(1996)
    (path / "X.parquet").write_bytes(content)
    assert "X.parquet: the file cannot be read: " in problems(prepare, load(path), path.parent / "cache")[0]


def test_a_file_of_another_kind_is_refused(small: Any, problems: Report) -> None:
    path = small.replace('X = "X.parquet"', 'X = "X.xlsx"').write()
    assert "expected a file whose name ends in .parquet or .csv" in problems(examine, load(path))[0]


def test_repeated_column_names_are_refused(small: Any, problems: Report) -> None:
    path = small.replace('X = "X.parquet"', 'X = "X.csv"').write()
    (path / "X.csv").write_text("week,ticker,a,a\n0,t0,1,2\n")
    assert 'X.csv: repeated column names: "a"' in problems(examine, load(path))


def test_missing_keys_are_named_by_row(small: Any, problems: Report) -> None:
    small.X["ticker"] = small.X["ticker"].where(small.X.index != 7)
    small.X["week"] = small.X["week"].astype(float).where(~small.X.index.isin([2, 3]))
    assert checked(small, problems) == [
        'X.parquet: column "week": 2 row(s) have no moon: rows 2, 3, counted from 0',
        'X.parquet: column "ticker": 1 row(s) have no id: rows 7, counted from 0',
    ]


def test_moons_with_fractions_are_refused(small: Any, problems: Report) -> None:
    small.X["week"] = small.X["week"] + 0.5
    assert "60 moon(s) are not integers" in checked(small, problems)[0]


@pytest.mark.parametrize("values", [[f"w{k}" for k in range(60)], pd.date_range("2020", periods=60)])
def test_moons_that_are_no_numbers_are_refused(small: Any, problems: Report, values: Any) -> None:
    small.X["week"] = values
    assert "expected integers" in checked(small, problems)[0]


def test_moons_beyond_64_bits_are_refused(small: Any, problems: Report) -> None:
    small.X["week"] = small.X["week"].astype(np.uint64) + np.uint64(2**63)
    assert "moons are too large" in checked(small, problems)[0]


def test_ids_that_are_floats_are_refused(small: Any, problems: Report) -> None:
    small.X["ticker"] = np.arange(60.0)
    assert "ids are stored as double; expected texts or integers" in checked(small, problems)[0]


def test_ids_of_two_kinds_are_refused(small: Any, problems: Report) -> None:
    small.X["ticker"] = np.arange(60)
    assert checked(small, problems) == [
        "y.parquet: its ids are text, those of X.parquet integers; expected the same"
    ]


def test_repeated_keys_are_named(small: Any, problems: Report) -> None:
    small.X.loc[1, "week"] = small.X.loc[0, "week"]
    small.X.loc[1, "ticker"] = small.X.loc[0, "ticker"]
    assert '1 row(s) repeat the key (week, ticker) of another: (0, "t0")' in checked(small, problems)[0]


def test_at_most_ten_missing_keys_are_named_and_the_rest_counted(small: Any, problems: Report) -> None:
    small.y = small.y[small.y["week"] >= 3]
    found = checked(small, problems)
    assert len(found) == 1
    assert found[0].startswith("y.parquet: 15 row(s) of X.parquet have no row here: (0, ")
    assert found[0].endswith("and 5 more")
    assert found[0].count("), (") + 1 == 10


def test_extra_keys_are_named(small: Any, problems: Report) -> None:
    small.X = small.X[small.X["ticker"] != "t3"]
    found = checked(small, problems)
    assert found[0].startswith("X.parquet: 12 row(s) of y.parquet have no row here: ")


def test_missing_targets_are_no_problem(small: Any) -> None:
    small.y["rank"] = small.y["rank"].where(small.y.index > 5)
    assert examine(load(small.write())).tables["y"].rows == 60


@pytest.mark.parametrize("values", [["x"] * 60, [True] * 60, pd.Categorical(["x"] * 60)])
def test_targets_that_are_no_numbers_are_refused(small: Any, problems: Report, values: Any) -> None:
    small.y["rank"] = values
    found = checked(small, problems)
    assert len(found) == 1
    assert "expected numbers" in found[0]


def test_data_without_rows_are_refused(small: Any, problems: Report) -> None:
    small.X, small.y = small.X.iloc[:0], small.y.iloc[:0]
    assert checked(small, problems) == ["X.parquet: there are no rows", "y.parquet: there are no rows"]


def test_files_of_one_table_must_have_the_same_columns(small: Any, problems: Report) -> None:
    path = small.replace('X = "X.parquet"', 'X = ["X.parquet", "more.parquet"]').write()
    small.X.drop(columns="b").to_parquet(path / "more.parquet", index=False)
    assert problems(examine, load(path)) == ['more.parquet: its columns differ from those of X.parquet: "b"']


def test_a_metric_that_cannot_be_loaded_is_reported(small: Any) -> None:
    path = small.replace('function = "spearman"', 'function = "own.py:missing"').write()
    (path / "own.py").write_text("def present(prediction, truth):\n    return 0.0\n")
    found = [str(problem) for problem in metric_problems(load(path))]
    assert len(found) == 1
    assert 'there is no function "missing"; there are: present' in found[0]


STORED: list[tuple[Any, int, str]] = [
    *((kind, 0, "plain") for kind in (pa.int8(), pa.uint16(), pa.int32(), pa.uint64())),
    (pa.int8(), 1, "plain"),
    *((kind, 1, "plain") for kind in (pa.float16(), pa.float32(), pa.float64())),
    (pa.bool_(), 0, "plain"),
    *((kind, 1, "string") for kind in (pa.string(), pa.large_string())),
    (pa.dictionary(pa.int8(), pa.string()), 1, "category"),
    (pa.dictionary(pa.int32(), pa.int64()), 0, "category"),
    (pa.timestamp("us"), 1, "plain"),
    (pa.timestamp("ns", "UTC"), 1, "datetime-tz"),
    (pa.date32(), 1, "plain"),
    (pa.date64(), 0, "plain"),
    (pa.duration("ms"), 0, "plain"),
    (pa.null(), 5, "plain"),
]
REFUSED: list[tuple[Any, int]] = [
    (pa.bool_(), 1),
    (pa.decimal128(5, 2), 0),
    (pa.list_(pa.int8()), 0),
    (pa.struct([("a", pa.int8())]), 0),
    (pa.map_(pa.string(), pa.int8()), 0),
    (pa.time32("s"), 0),
    (pa.binary(), 0),
    (pa.dictionary(pa.int8(), pa.bool_()), 0),
]


@pytest.mark.parametrize(("stored", "missing", "kind"), STORED, ids=str)
def test_a_stored_type_of_the_table_has_a_form(stored: Any, missing: int, kind: str) -> None:
    form = form_of(stored, missing)
    assert isinstance(form, Form)
    assert form.kind == kind


@pytest.mark.parametrize(("stored", "missing"), REFUSED, ids=str)
def test_a_stored_type_beyond_the_table_is_refused(stored: Any, missing: int) -> None:
    assert isinstance(form_of(stored, missing), Refusal)


def test_every_row_of_the_table_is_used_and_documented() -> None:
    used = {
        next(rule for rule in RULES if rule.applies(stored, missing)).stored for stored, missing, _ in STORED
    }
    assert used == {rule.stored for rule in RULES}
    documentation = (Path(__file__).parents[3] / "docs" / "competition-file.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert f"| {rule.stored} | {rule.missing} | {rule.becomes} |" in documentation
    for refusal in REFUSALS:
        assert f"| {refusal.stored} | {refusal.instead} |" in documentation
