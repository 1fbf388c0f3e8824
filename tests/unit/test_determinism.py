"""Which calls are repeated, and what counts as a difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencrunch.determinism import TOLERANCE, compare, draw


@given(st.sets(st.integers(), min_size=1, max_size=200), st.integers(0, 2**32))
def test_a_tenth_is_drawn_at_least_one_and_only_of_the_keys(keys: set[int], seed: int) -> None:
    drawn = draw(sorted(keys), seed=seed)
    assert len(drawn) == max(1, -(-len(keys) // 10))
    assert set(drawn) <= keys
    assert list(drawn) == sorted(set(drawn))
    assert draw(sorted(keys), seed=seed) == drawn


def test_the_draw_is_not_always_the_first_keys() -> None:
    assert {draw(range(50), seed=seed)[0] for seed in range(20)} != {0}


def test_equal_values_have_no_difference() -> None:
    values = np.array([[1.0, 2.0]])
    assert compare(values, values + TOLERANCE / 2, key=1, ids=["a"], columns=["p", "q"]) is None


def test_the_first_difference_is_named() -> None:
    first, second = np.zeros((3, 2)), np.zeros((3, 2))
    second[1, 1] = second[2, 0] = 1e-7
    found = compare(first, second, key=9, ids=["a", "b", "c"], columns=["p", "q"])
    assert found is not None
    assert (found.key, found.row, found.column, found.first) == (9, "b", "q", 0.0)
    assert found.second == pytest.approx(1e-7)
