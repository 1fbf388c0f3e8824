"""Column names: immutable, found by target name, and a list wherever pandas wants one."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from crunch.columns import ColumnNames, Columns

NAMES = ColumnNames({"rank_1w": "target_a", "rank 4w": "target_b"})
COLUMNS = Columns(
    moon="week",
    id="ticker",
    targets={"rank_1w": "y1", "rank_4w": "y4"},
    predictions={"rank_1w": "p1", "rank_4w": "p4"},
    features={"default": ["f1", "f2"], "slow": ["f2"]},
)


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=["id", "target_a", "target_b"])


def test_a_column_is_found_by_target_name_and_by_position() -> None:
    assert NAMES["rank_1w"] == NAMES.rank_1w == NAMES[0] == "target_a"
    assert NAMES["rank 4w"] == NAMES[-1] == "target_b"
    assert NAMES[:1] == ["target_a"]
    assert len(NAMES) == 2
    assert list(NAMES) == ["target_a", "target_b"]
    assert dict(zip(NAMES, [1, 2], strict=True)) == {"target_a": 1, "target_b": 2}
    assert "target_a" in NAMES
    assert "rank_1w" not in NAMES


def test_a_missing_target_is_a_key_error_as_item_and_an_attribute_error_as_attribute() -> None:
    with pytest.raises(KeyError, match='no target "rank"; there are: rank_1w, rank 4w'):
        NAMES["rank"]
    with pytest.raises(AttributeError, match="rank"):
        _ = NAMES.rank
    with pytest.raises(IndexError):
        NAMES[2]


def test_pandas_takes_the_names_for_several_columns(frame: pd.DataFrame) -> None:
    both = frame[["target_a", "target_b"]]
    for selected in (
        frame[NAMES],
        frame.loc[:, NAMES],
        frame.reindex(columns=NAMES),
        frame.filter(items=NAMES),
        frame.drop(columns=frame.columns.difference(NAMES)),
        pd.DataFrame(both.to_numpy(), columns=NAMES),
        frame.set_index("id").reset_index()[NAMES],
    ):
        pd.testing.assert_frame_equal(selected, both)


def test_pandas_takes_the_names_where_it_wants_a_list(frame: pd.DataFrame) -> None:
    frame[NAMES] = 1.0
    assert frame[["target_a", "target_b"]].eq(1.0).all(axis=None)
    frame.loc[:, NAMES] = np.zeros((4, 2))
    assert frame[["target_a", "target_b"]].eq(0.0).all(axis=None)
    assert frame.groupby(NAMES).size().tolist() == [4]
    assert frame.sort_values(NAMES).shape == (4, 3)
    assert frame.set_index(NAMES).index.names == ["target_a", "target_b"]
    assert frame.merge(frame, on=NAMES).shape == (16, 4)
    assert frame.drop_duplicates(subset=NAMES).shape == (1, 3)
    assert frame.drop(columns=NAMES).columns.tolist() == ["id"]
    assert frame[["id", *NAMES]].shape == frame[["id"] + NAMES].shape == (4, 3)


def test_a_single_target_gives_one_column_as_a_frame(frame: pd.DataFrame) -> None:
    names = ColumnNames({"only": "target_a"})
    assert frame[names].shape == (4, 1)
    assert frame[names[0]].shape == (4,)


CHANGES: list[Callable[[ColumnNames], object]] = [
    lambda names: names.append("x"),
    lambda names: names.extend(["x"]),
    lambda names: names.insert(0, "x"),
    lambda names: names.pop(),
    lambda names: names.remove("target_a"),
    lambda names: names.clear(),
    lambda names: names.sort(),
    lambda names: names.reverse(),
    lambda names: names.__setitem__(0, "x"),
    lambda names: names.__delitem__(0),
    lambda names: setattr(names, "rank_1w", "x"),
    lambda names: delattr(names, "rank_1w"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_names_cannot_be_changed(change: Callable[[ColumnNames], object]) -> None:
    with pytest.raises(TypeError, match=r"cannot be changed; list\(\.\.\.\)"):
        change(NAMES)
    assert list(NAMES) == ["target_a", "target_b"]


def test_in_place_operators_make_a_new_list() -> None:
    longer = twice = NAMES
    longer += ["x"]  # type: ignore[misc]
    twice *= 2  # type: ignore[misc]
    assert longer == ["target_a", "target_b", "x"]
    assert len(twice) == 4
    assert list(NAMES) == ["target_a", "target_b"]


def test_copies_that_can_be_changed_are_ordinary_lists() -> None:
    for made in (list(NAMES), NAMES.copy(), NAMES[:], NAMES + []):
        assert type(made) is list
        made.append("x")
    assert list(NAMES) == ["target_a", "target_b"]


def test_a_target_called_like_a_method_is_found() -> None:
    names = ColumnNames({"index": "a", "sort": "b", "count": "c"})
    found: list[object] = [names.index, names.sort, names.count]
    assert found == ["a", "b", "c"]
    assert NAMES.index("target_b") == 1
    assert NAMES.count("target_b") == 1


def test_names_survive_pickle_copy_json_and_repr() -> None:
    copies = [copy.copy(NAMES), copy.deepcopy(NAMES), eval(repr(NAMES))]
    copies += [pickle.loads(pickle.dumps(NAMES, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for made in copies:
        assert type(made) is ColumnNames
        assert made == NAMES
        assert made.rank_1w == "target_a"
    assert json.loads(json.dumps(NAMES)) == ["target_a", "target_b"]


def test_names_equal_lists_with_the_same_columns() -> None:
    assert NAMES == ["target_a", "target_b"]
    assert ColumnNames({"other": "target_a", "names": "target_b"}) == NAMES
    assert NAMES != ["target_b", "target_a"]


def test_one_column_may_serve_as_input_and_output() -> None:
    columns = Columns(moon="m", id="i", targets={"y": "y"}, predictions={"y": "y"}, features={"all": ["f"]})
    assert columns.target_column_name == columns.prediction_column_name == "y"


def test_columns_have_every_name_as_an_attribute() -> None:
    assert COLUMNS.parameters() == {
        "id_column_name": "ticker",
        "moon_column_name": "week",
        "target_column_name": "y1",
        "target_column_names": ["y1", "y4"],
        "prediction_column_name": "p1",
        "prediction_column_names": ["p1", "p4"],
        "feature_column_names": ["f1", "f2"],
        "feature_column_names_default": ["f1", "f2"],
        "feature_column_names_slow": ["f2"],
    }
    for name, value in COLUMNS.parameters().items():
        assert getattr(COLUMNS, name) == value
        assert name in dir(COLUMNS)
    assert COLUMNS.target_column_names.rank_4w == "y4"
    with pytest.raises(AttributeError, match=r"feature_column_names_fast.*feature_column_names_slow"):
        _ = COLUMNS.feature_column_names_fast


def test_columns_cannot_be_changed() -> None:
    for name in ("id_column_name", "anything", "_names"):
        with pytest.raises(AttributeError, match="cannot be changed"):
            setattr(COLUMNS, name, "x")
        with pytest.raises(AttributeError, match="cannot be changed"):
            delattr(COLUMNS, name)
    COLUMNS.feature_column_names.append("x")
    assert COLUMNS.feature_column_names == ["f1", "f2"]


def test_columns_survive_json_pickle_copy_and_repr() -> None:
    data = json.loads(json.dumps(COLUMNS.to_json()))
    for made in (
        Columns.from_json(data),
        pickle.loads(pickle.dumps(COLUMNS)),
        copy.deepcopy(COLUMNS),
        eval(repr(COLUMNS)),
    ):
        assert made == COLUMNS
        assert hash(made) == hash(COLUMNS)
    assert Columns.from_json({**data, "moon": "moon"}) != COLUMNS
    assert COLUMNS != "columns"


def test_targets_and_predictions_must_agree() -> None:
    with pytest.raises(ValueError, match="same target names"):
        Columns(moon="m", id="i", targets={"a": "y"}, predictions={"b": "y"}, features={})
    with pytest.raises(ValueError, match="at least one"):
        Columns(moon="m", id="i", targets={}, predictions={}, features={})
