"""The built-in metrics agree with scipy and their formulas, key by key; so do the reducers."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from opencrunch.metrics import BUILT_IN, Floats, KeyScores, Offsets, mae, pearson, r2, ranks, rmse, spearman
from opencrunch.reducers import REDUCERS, reduce

Groups = list[tuple[Floats, Floats]]

# few different values, so that ties and constant keys are common; then values of any size
TIED = st.integers(-3, 3).map(float)
ANY = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 3))


def groups() -> st.SearchStrategy[Groups]:
    pair = st.sampled_from([TIED, ANY]).flatmap(
        lambda values: st.lists(st.tuples(values, values), min_size=1, max_size=12)
    )
    return st.lists(pair.map(lambda rows: (column(rows, 0), column(rows, 1))), min_size=1, max_size=6)


def column(rows: list[tuple[float, float]], number: int) -> Floats:
    return np.array([row[number] for row in rows])


def flat(parts: Groups) -> tuple[Floats, Floats, Offsets]:
    sizes = [len(first) for first, _ in parts]
    first, second = (np.concatenate([part[number] for part in parts]) for number in (0, 1))
    return first, second, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def one(first: list[float], second: list[float]) -> tuple[Floats, Floats, Offsets]:
    return flat([(np.array(first, dtype=np.float64), np.array(second, dtype=np.float64))])


def is_constant(values: npt.NDArray[np.float64]) -> bool:
    return bool((values == values[0]).all())


@given(groups())
def test_spearman_agrees_with_scipy_within_each_key(parts: Groups) -> None:
    agrees_with_scipy(spearman(*flat(parts)), parts, "spearmanr")


@given(groups())
def test_pearson_agrees_with_scipy_within_each_key(parts: Groups) -> None:
    agrees_with_scipy(pearson(*flat(parts)), parts, "pearsonr")


def agrees_with_scipy(found: KeyScores, parts: Groups, name: str) -> None:
    for value, constant, (first, second) in zip(found.values, found.constant, parts, strict=True):
        assert constant == (is_constant(first) or is_constant(second))
        if constant:
            assert value == 0.0
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns of nearly constant input
            expected = getattr(scipy.stats, name)(first, second).statistic
        assert value == pytest.approx(expected, abs=1e-9)


@given(groups())
def test_ranks_agree_with_scipy_within_each_key(parts: Groups) -> None:
    values, _, offsets = flat(parts)
    expected = np.concatenate([scipy.stats.rankdata(first) for first, _ in parts])
    assert ranks(values, offsets).tolist() == expected.tolist()


@given(groups())
def test_errors_follow_their_formulas_within_each_key(parts: Groups) -> None:
    arrays = flat(parts)
    differences = [first - second for first, second in parts]
    assert rmse(*arrays).values == pytest.approx([math.sqrt(np.mean(part**2)) for part in differences])
    assert mae(*arrays).values == pytest.approx([np.mean(np.abs(part)) for part in differences])
    assert not (rmse(*arrays).constant | mae(*arrays).constant).any()


@given(groups())
def test_r2_follows_its_formula_where_the_truth_varies(parts: Groups) -> None:
    found = r2(*flat(parts))
    for value, constant, (first, second) in zip(found.values, found.constant, parts, strict=True):
        assert constant == is_constant(second)
        expected = 0.0 if constant else 1.0 - np.sum((first - second) ** 2) / (np.var(second) * len(second))
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(groups())
def test_a_key_scores_the_same_alone_as_among_others(parts: Groups) -> None:
    for built_in in BUILT_IN.values():
        together = built_in.function(*flat(parts)).values
        alone = [built_in.function(*flat([part])).values[0] for part in parts]
        assert together == pytest.approx(alone, rel=1e-9, abs=1e-9)


def test_known_values() -> None:
    rows = one([1, 2, 3, 4], [1, 2, 4, 3])
    assert spearman(*rows).values == pytest.approx([0.8])
    assert pearson(*rows).values == pytest.approx([0.8])
    assert rmse(*rows).values == pytest.approx([0.5**0.5])
    assert mae(*rows).values == pytest.approx([0.5])
    assert r2(*rows).values == pytest.approx([0.6])


def test_a_key_of_one_row_is_constant_and_scores_zero() -> None:
    for metric in (spearman, pearson, r2):
        found = metric(*one([1.0], [2.0]))
        assert found.values.tolist() == [0.0]
        assert found.constant.tolist() == [True]


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
def test_the_size_of_the_values_does_not_matter_to_a_correlation(size: float) -> None:
    first, second, offsets = one([1, 2, 3, 5], [2, 1, 4, 3])
    expected = scipy.stats.pearsonr(first, second).statistic
    assert pearson(first * size, second, offsets).values == pytest.approx([expected])
    assert spearman(first, second * size, offsets).values == pytest.approx(
        [spearman(first, second, offsets).values[0]]
    )


def test_directions() -> None:
    down = {name for name, metric in BUILT_IN.items() if metric.direction == "minimize"}
    assert down == {"rmse", "mae"}


# reducers


@given(st.lists(ANY, min_size=1, max_size=50).map(np.array))
def test_reducers_follow_their_formulas(values: Floats) -> None:
    assert reduce("mean", values).value == pytest.approx(np.mean(values))
    assert reduce("sum", values).value == pytest.approx(np.sum(values))
    sharpe = reduce("sharpe", values)
    if is_constant(values):
        assert sharpe.value is None
    else:
        assert sharpe.value == pytest.approx(np.mean(values) / np.std(values, ddof=1))


def test_the_sharpe_of_one_key_is_undefined_and_says_so() -> None:
    reduced = reduce("sharpe", np.array([0.3]))
    assert reduced.value is None
    assert reduced.note == "sharpe needs at least two keys; there is 1"


def test_the_sharpe_of_equal_keys_is_undefined_and_says_so() -> None:
    for values in ([0.1, 0.1, 0.1], [0.0, 1e-200, 0.0]):
        reduced = reduce("sharpe", np.array(values))
        assert reduced.value is None
        assert "all 3 keys have the same value" in (reduced.note or "")


def test_no_key_has_no_value_under_any_reducer() -> None:
    for name in REDUCERS:
        reduced = reduce(name, np.array([]))
        assert reduced.value is None
        assert reduced.note == "no key has a row with a target"


def test_a_value_beyond_all_numbers_is_no_value() -> None:
    found = rmse(*one([1e300, 1.0], [-1e300, 1.0]))
    for values in (found.values, np.array([1.7e308, 1.7e308])):
        reduced = reduce("sum", values)
        assert reduced.value is None
        assert "too large" in (reduced.note or "")


def test_every_metric_and_reducer_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    missing = [name for name in [*BUILT_IN, *REDUCERS] if f"| `{name}` |" not in page]
    assert missing == []
