"""Scores: rows joined by moon and id, nothing dropped, nothing silent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from opencrunch.custom_metric import PARAMETERS
from opencrunch.errors import CompetitionError, OrganiserError, ParticipantError
from opencrunch.scores import MetricScore, Scores, score


@dataclass(frozen=True, kw_only=True)
class Target:
    input: str = "y"
    output: str = "p"


@dataclass(frozen=True, kw_only=True)
class Columns:
    moon: str = "week"
    id: str = "ticker"
    targets: dict[str, Target] = field(default_factory=lambda: {"main": Target()})


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str = "m"
    function: str = "spearman"
    target: str = "main"
    per: str = "moon"
    reduce: str = "mean"
    direction: str = "maximize"


def truth() -> pd.DataFrame:
    moons, ids = np.repeat([10, 11, 12], 5), list("abcde") * 3
    values = np.random.default_rng(1).normal(size=15)
    return pd.DataFrame({"week": moons, "ticker": ids, "y": values})


def prediction(**changes: Any) -> pd.DataFrame:
    made = truth().drop(columns="y").assign(p=np.random.default_rng(2).normal(size=15))
    return made.assign(**changes)


def scores(
    given: pd.DataFrame,
    expected: pd.DataFrame,
    *metrics: Metric,
    directory: Path = Path("/nowhere"),
    **columns: Any,
) -> Scores:
    return score(
        given, expected, columns=Columns(**columns), metrics=metrics or [Metric()], directory=directory
    )


def only(*arguments: Any, **keywords: Any) -> MetricScore:
    (found,) = scores(*arguments, **keywords).metrics.values()
    return found


def by_hand(given: pd.DataFrame, expected: pd.DataFrame) -> dict[int, float]:
    both = expected.merge(given, on=["week", "ticker"]).dropna()
    return {
        int(moon): float(scipy.stats.spearmanr(rows["p"], rows["y"]).statistic)
        for moon, rows in both.groupby("week")
    }


def test_each_moon_is_scored_and_the_values_are_reduced() -> None:
    found = only(prediction(), truth())
    assert found.per_key == pytest.approx(by_hand(prediction(), truth()))
    assert found.value == pytest.approx(np.mean(list(found.per_key.values())))
    assert list(found.per_key) == [10, 11, 12]
    assert (found.rows, found.rows_without_target, found.constant_keys, found.notes) == (15, 0, 0, ())


@given(st.permutations(range(15)), st.permutations(range(15)))
def test_the_order_of_rows_does_not_matter(first: list[int], second: list[int]) -> None:
    found = only(prediction().iloc[first], truth().iloc[second])
    assert found.per_key == pytest.approx(only(prediction(), truth()).per_key)


def test_several_metrics_and_targets_are_scored_each_on_its_own_column() -> None:
    expected = truth().assign(z=lambda frame: -frame["y"])
    given = prediction(q=lambda frame: frame["p"])
    found = scores(
        given,
        expected,
        Metric(name="up"),
        Metric(name="down", target="other"),
        Metric(name="error", function="rmse", per="all", direction="minimize"),
        targets={"main": Target(), "other": Target(input="z", output="q")},
    ).metrics
    assert found["up"].value == pytest.approx(-(found["down"].value or 0.0))
    assert found["error"].per_key == {
        "all": pytest.approx(np.sqrt(((given["p"] - expected["y"]) ** 2).mean()))
    }
    assert found["error"].direction == "minimize"


# rows


def test_rows_without_target_are_left_out_and_counted() -> None:
    expected = truth()
    expected.loc[[0, 7], "y"] = np.nan
    found = only(prediction(), expected)
    assert found.per_key == pytest.approx(by_hand(prediction(), expected))
    assert (found.rows, found.rows_without_target) == (13, 2)


def test_a_moon_without_any_target_is_no_key() -> None:
    expected = truth()
    expected.loc[expected["week"] == 11, "y"] = np.nan
    found = only(prediction(), expected)
    assert list(found.per_key) == [10, 12]
    assert found.value is not None
    assert np.isfinite(found.value)


def test_without_any_target_there_is_no_value() -> None:
    for per in ("moon", "all"):
        found = only(prediction(), truth().assign(y=np.nan), Metric(per=per))
        assert (found.value, found.per_key, found.rows) == (None, {}, 0)
        assert found.notes == ("no key has a row with a target",)


def test_a_constant_moon_scores_zero_and_is_counted() -> None:
    given = prediction()
    given.loc[given["week"] == 11, "p"] = 0.5
    found = only(given, truth())
    assert found.per_key[11] == 0.0
    assert found.constant_keys == 1
    assert found.value == pytest.approx(sum(by_hand(prediction(), truth())[moon] for moon in (10, 12)) / 3)


def test_one_moon_does_not_skip_the_reducer() -> None:
    rows = slice(0, 5)
    found = only(prediction()[rows], truth()[rows], Metric(reduce="sharpe"))
    assert found.value is None
    assert found.notes == ("sharpe needs at least two keys; there is 1",)
    assert len(found.per_key) == 1


def test_missing_extra_and_duplicate_rows_are_errors_that_name_them() -> None:
    given = pd.concat(
        [prediction().drop(index=[0, 3]), prediction().loc[[7]], prediction().loc[[8]].assign(week=13)]
    )
    with pytest.raises(ParticipantError) as caught:
        scores(given, truth())
    assert caught.value.message == (
        "the prediction's rows are not those of the truth: "
        '2 missing: (week 10, ticker "a"), (week 10, ticker "d"); '
        '1 extra: (week 13, ticker "d"); '
        '1 duplicate: (week 11, ticker "c")'
    )
    assert caught.value.cause == "bad-result"


def test_at_most_ten_rows_are_named_and_how_many_more() -> None:
    with pytest.raises(
        ParticipantError, match=r'^[^:]+: 13 missing: .*, \(week 11, ticker "e"\) and 3 more$'
    ) as caught:
        scores(prediction().iloc[13:], truth())
    assert caught.value.message.count("ticker") == 10


def test_an_empty_prediction_lacks_every_row() -> None:
    with pytest.raises(ParticipantError, match="15 missing"):
        scores(prediction().iloc[:0], truth())


def test_duplicate_rows_in_the_truth_are_the_organisers() -> None:
    with pytest.raises(OrganiserError, match="duplicate rows"):
        scores(prediction(), pd.concat([truth(), truth().iloc[[2]]]))


NUMBERS = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
DTYPES: list[Callable[[pd.Series], pd.Series]] = [
    lambda ids: ids.astype("int64"),
    lambda ids: ids.astype("uint8"),
    lambda ids: ids.astype("float32"),
    lambda ids: ids.astype("Int64"),
    lambda ids: ids.astype("category"),
    lambda ids: pd.Series(ids.tolist(), dtype=object),
    lambda ids: pd.Series([float(value) for value in ids], dtype=object),
]


@pytest.mark.parametrize("first", range(len(DTYPES)))
@pytest.mark.parametrize("second", range(len(DTYPES)))
def test_numeric_ids_are_compared_by_value(first: int, second: int) -> None:
    given = prediction(ticker=lambda frame: DTYPES[first](frame["ticker"].map(NUMBERS)))
    expected = truth().assign(ticker=lambda frame: DTYPES[second](frame["ticker"].map(NUMBERS)))
    assert only(given, expected).per_key == only(prediction(), truth()).per_key


@pytest.mark.parametrize("dtype", ["object", "string", "category", "str"])
def test_string_ids_and_moons_of_another_dtype_are_compared_by_value(dtype: str) -> None:
    given = prediction(
        ticker=lambda frame: frame["ticker"].astype(dtype), week=lambda frame: frame["week"] * 1.0
    )
    assert only(given, truth()).per_key == only(prediction(), truth()).per_key


def test_large_ids_that_differ_by_one_are_different() -> None:
    large = [2**60 + number for number in range(15)]
    given, expected = prediction(ticker=large), truth().assign(ticker=large)
    assert only(given, expected).per_key == only(prediction(), truth()).per_key
    with pytest.raises(ParticipantError, match="1 missing"):
        scores(given.assign(ticker=[*large[:-1], 2**60 + 99]), expected)


def test_fractional_ids_do_not_match_whole_ones() -> None:
    numbers = truth()["ticker"].map(NUMBERS)
    with pytest.raises(ParticipantError, match="15 missing"):
        scores(prediction(ticker=numbers + 0.5), truth().assign(ticker=numbers))


def test_a_string_is_not_the_number_that_it_shows() -> None:
    numbers = truth()["ticker"].map(NUMBERS)
    with pytest.raises(ParticipantError, match=r'15 extra: .week 10, ticker "1"'):
        scores(prediction(ticker=numbers.astype(str)), truth().assign(ticker=numbers))


@given(st.lists(st.integers(0, 14), max_size=30).filter(lambda rows: sorted(rows) != list(range(15))))
def test_whatever_row_is_lost_or_repeated_is_an_error(rows: list[int]) -> None:
    with pytest.raises(ParticipantError, match=r"missing|duplicate"):
        scores(prediction().iloc[rows], truth())


# values


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_is_an_error_that_names_the_row(bad: float) -> None:
    given = prediction()
    given.loc[6, "p"] = bad
    with pytest.raises(ParticipantError, match=rf'column "p" .* 1 values .* {bad} \(week 11, ticker "b"\)'):
        scores(given, truth())


def test_a_target_that_is_infinite_is_the_organisers() -> None:
    expected = truth()
    expected.loc[3, "y"] = np.inf
    with pytest.raises(OrganiserError, match=r'column "y" of the truth .* \(week 10, ticker "d"\)'):
        scores(prediction(), expected)


def test_a_missing_column_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ParticipantError, match=r"no column \"p\"; it has \['week', 'ticker', 'q'\]"):
        scores(prediction().rename(columns={"p": "q"}), truth())
    with pytest.raises(OrganiserError, match='the truth has no column "y"'):
        scores(prediction(), truth().drop(columns="y"))
    with pytest.raises(ParticipantError, match='the prediction has no column "ticker"'):
        scores(prediction().drop(columns="ticker"), truth())


def test_a_null_id_is_an_error() -> None:
    with pytest.raises(ParticipantError, match='15 rows without a value in column "ticker"'):
        scores(prediction(ticker=None), truth())


def test_values_may_be_booleans_or_numbers_as_objects() -> None:
    plain = only(prediction(p=lambda frame: (frame["p"] > 0).astype(float)), truth())
    assert only(prediction(p=lambda frame: frame["p"] > 0), truth()) == plain
    assert only(prediction(p=lambda frame: (frame["p"] > 0).astype(object)), truth()) == plain
    with pytest.raises(ParticipantError, match='column "p" of the prediction does not hold numbers'):
        scores(prediction(p="high"), truth())


def test_an_unknown_target_is_the_organisers() -> None:
    with pytest.raises(CompetitionError, match='unknown target "other"; there are: main'):
        scores(prediction(), truth(), Metric(target="other"))


def test_scores_are_plain_json() -> None:
    made = scores(prediction(), truth(), Metric(reduce="sharpe")).to_json()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert set(made["m"]) == {
        "value",
        "direction",
        "per_key",
        "keys",
        "constant_keys",
        "rows",
        "rows_without_target",
        "notes",
    }
    assert made["m"]["keys"] == 3
    assert list(made["m"]["per_key"]) == ["10", "11", "12"]


def test_a_value_beyond_all_numbers_is_none_in_json() -> None:
    given = prediction()
    given.loc[6, "p"] = 1e300
    made = scores(given, truth(), Metric(function="rmse")).to_json()["m"]
    assert made["value"] is None
    assert made["per_key"]["11"] is None
    assert made["per_key"]["10"] > 0
    assert len(made["notes"]) == 1


# the organiser's own function


def own(directory: Path, source: str, **changes: Any) -> MetricScore:
    (directory / "scoring.py").write_text(source)
    return only(prediction(), truth(), Metric(function="scoring.py:mine", **changes), directory=directory)


def test_an_own_function_receives_what_it_asks_for(tmp_path: Path) -> None:
    found = own(
        tmp_path,
        "import numpy as np\n"
        "def mine(truth, prediction, moon, prediction_frame, truth_frame, target_name, id_column_name,\n"
        "         moon_column_name, scale=2.0):\n"
        "    assert isinstance(truth, np.ndarray) and truth.shape == prediction.shape == (5,)\n"
        "    assert (prediction_frame['p'] == prediction).all() and (truth_frame['y'] == truth).all()\n"
        "    assert (truth_frame[moon_column_name] == moon).all() and isinstance(moon, int)\n"
        "    assert (truth_frame[id_column_name] == prediction_frame[id_column_name]).all()\n"
        "    assert target_name == 'main' and truth_frame.index.tolist() == [0, 1, 2, 3, 4]\n"
        "    return scale * moon\n",
    )
    assert found.per_key == {10: 20.0, 11: 22.0, 12: 24.0}
    assert found.value == 22.0


def test_an_own_function_over_all_rows_is_called_once_without_moon(tmp_path: Path) -> None:
    found = own(
        tmp_path, "def mine(truth, moon):\n    assert moon is None\n    return len(truth)\n", per="all"
    )
    assert found.per_key == {"all": 15.0}


def test_an_own_function_cannot_spoil_the_data_of_the_next_metric(tmp_path: Path) -> None:
    (tmp_path / "scoring.py").write_text(
        "def mine(truth, prediction):\n    truth[:] = prediction\n    return 0\n"
    )
    metrics = Metric(name="a", function="scoring.py:mine"), Metric(name="b")
    found = scores(prediction(), truth(), *metrics, directory=tmp_path).metrics["b"]
    assert found == only(prediction(), truth())


def test_an_own_file_may_import_its_siblings(tmp_path: Path) -> None:
    (tmp_path / "own_sibling_of_scoring.py").write_text("VALUE = 7\n")
    assert own(tmp_path, "from own_sibling_of_scoring import VALUE\ndef mine(): return VALUE\n").value == 7.0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "def mine():\n    return 1 / 0\n",
            r"^scoring\.py, line 2: mine failed for moon 10: ZeroDivisionError: ",
        ),
        ("import nothing_there\n", r"^scoring\.py, line 1: the import failed: ModuleNotFoundError: "),
        ("def mine(:\n", r"^scoring\.py, line 1: the import failed: SyntaxError: "),
        (
            "def mine(): return float('nan')",
            r"^scoring\.py: mine returned nan for moon 10; expected one finite",
        ),
        ("def mine(): return None", r"mine returned None for moon 10"),
        ("def mine(): return 'high'", r"mine returned a str for moon 10"),
        ("def mine(predicton): return 1", r'"predicton" is not a name .* closest known name is "prediction"'),
        ("def other(): return 1", r'there is no function "mine"; there are: other'),
        ("mine = max", r"does not tell its parameters"),
    ],
)
def test_errors_of_an_own_function_name_file_and_line(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(CompetitionError, match=message):
        own(tmp_path, source)


@pytest.mark.parametrize(
    "reference", ["spearmann", "scoring.py", "scoring.py:", "../scoring.py:mine", "no.py:mine"]
)
def test_a_function_that_cannot_be_found_is_named(tmp_path: Path, reference: str) -> None:
    with pytest.raises(CompetitionError, match=reference.partition(":")[0].replace(".", r"\.")):
        only(prediction(), truth(), Metric(function=reference), directory=tmp_path)


def test_every_parameter_of_an_own_function_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [name for name in PARAMETERS if f"| `{name}` |" not in page] == []
