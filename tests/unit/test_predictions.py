"""What `infer` returned is checked: every difference is named, what is right is put in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opencrunch import wire
from opencrunch.errors import CallError
from opencrunch.predictions import Expected, check

IDS = np.array(["a", "b", "c"], dtype=object)


def expected(ids: Any = IDS) -> Expected:
    return Expected(moon=7, ids=ids, moon_column="moon", id_column="id", prediction_columns=("p", "q"))


def table(**columns: Any) -> wire.Table:
    arrays = {name: values if values is None else np.asarray(values) for name, values in columns.items()}
    rows = max((len(values) for values in arrays.values() if values is not None), default=0)
    return wire.Table(
        rows=rows,
        width=len(arrays),
        columns=tuple(
            wire.Column(name=name, is_text=True, values=values, holds="dict" if values is None else "")
            for name, values in arrays.items()
        ),
    )


def good(**changes: Any) -> wire.Table:
    columns = {"id": IDS, "moon": [7, 7, 7], "p": [1.0, 2.0, 3.0], "q": [4, 5, 6]}
    return table(**{**columns, **changes})


def problems(result: wire.Table | wire.Other, wanted: Expected | None = None) -> str:
    with pytest.raises(CallError) as caught:
        check(result, wanted or expected())
    assert caught.value.cause == "bad-result"
    assert caught.value.owner == "participant"
    assert caught.value.key == 7
    return caught.value.message


def test_rows_in_any_order_come_back_in_the_order_of_the_data() -> None:
    shuffled = good(id=np.array(["c", "a", "b"], dtype=object))
    assert check(shuffled, expected()).tolist() == [[2.0, 5.0], [3.0, 6.0], [1.0, 4.0]]


def test_integers_and_booleans_count_as_numbers() -> None:
    assert check(good(p=[True, False, True]), expected())[:, 0].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ([1.0, 2.0, 3.0], np.array([1, 2, 3])),
        (np.array(["1", "2", "3"], dtype=object), np.array([1, 2, 3])),
        ([1, 2, 3], np.array(["1", "2", "3"], dtype=object)),
        (np.array([1, 2, 3], np.int8), np.array([1, 2, 3], np.uint64)),
    ],
)
def test_ids_compare_by_value_whatever_their_dtype(given: Any, known: Any) -> None:
    assert check(good(id=given), expected(known))[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_a_moon_given_as_a_float_is_the_moon() -> None:
    check(good(moon=[7.0, 7.0, 7.0]), expected())


def test_missing_and_extra_columns_are_named() -> None:
    text = problems(table(id=IDS, moon=[7] * 3, p=[1.0] * 3, other=[1.0] * 3))
    assert "missing column 'q'" in text
    assert "extra column 'other'" in text


def test_a_dropped_an_extra_and_a_repeated_id_are_named() -> None:
    text = problems(good(id=np.array(["a", "a", "z"], dtype=object)))
    assert "2 missing ids 'b', 'c'" in text
    assert "1 extra id 'z'" in text
    assert "1 duplicate id 'a'" in text


def test_at_most_ten_ids_are_named_and_the_rest_counted() -> None:
    ids = np.array([f"i{n}" for n in range(25)], dtype=object)
    text = problems(table(id=ids[:1], moon=[7], p=[1.0], q=[1.0]), expected(ids))
    assert "24 missing ids" in text
    assert "and 14 more" in text
    assert "'i11'" not in text


def test_a_wrong_moon_is_named_with_its_rows() -> None:
    assert "must hold 7 and holds '8' in 2 rows" in problems(good(moon=[7, 8, 8]))


def test_nan_and_infinity_are_named_with_their_ids() -> None:
    text = problems(good(p=[np.nan, 1, 2], q=[1, np.inf, -np.inf]))
    assert "'p' holds NaN in 1 of 3 rows, for ids 'a'" in text
    assert "'q' holds infinite values in 2 of 3 rows, for ids 'b', 'c'" in text


def test_text_and_objects_are_no_predictions() -> None:
    text = problems(good(p=np.array(["x", "y", "z"], dtype=object), q=None))
    assert "'p' is not numeric: it holds text" in text
    assert "'q' is not numeric: it holds dict" in text


def test_no_frame_at_all_is_named() -> None:
    assert "it is None" in problems(wire.Other(name="none"))
    assert "it is a list" in problems(wire.Other(name="list"))


def test_a_result_that_was_not_read_is_refused_by_its_size() -> None:
    text = problems(wire.Table(rows=10**9, width=4, columns=()))
    assert "1,000,000,000 rows" in text
    assert "3 rows belong there" in text


def test_all_differences_are_told_at_once() -> None:
    text = problems(good(id=np.array(["a", "b", "b"], dtype=object), moon=[7, 7, 9], p=[np.nan] * 3))
    assert text.count(";") >= 3


def test_an_empty_result_misses_everything() -> None:
    empty = {name: np.zeros(0) for name in ("moon", "p", "q")}
    assert "3 missing ids" in problems(table(id=np.zeros(0, object), **empty))
