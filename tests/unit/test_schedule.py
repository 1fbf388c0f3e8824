"""The schedule: which moons are processed, and at which `train` is called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opencrunch.schedule import Step, gaps, plan


def steps(moons: list[int], **options: object) -> list[tuple[int, bool]]:
    rule: dict[str, object] = {
        "first": 0,
        "last": 10_000,
        "train_frequency": 0,
        "force_first_train": False,
        "resources_empty": False,
    }
    found: tuple[Step, ...] = plan(moons, **{**rule, **options})  # type: ignore[arg-type]
    return [(step.moon, step.trains) for step in found]


def test_frequency_goes_by_the_moons_value_not_by_position() -> None:
    assert steps([3, 5, 6, 8, 9], train_frequency=3) == [
        (3, True), (5, False), (6, True), (8, False), (9, True),
    ]  # fmt: skip


def test_without_a_model_the_first_moon_trains() -> None:
    assert steps([4, 5], resources_empty=True) == [(4, True), (5, False)]


def test_with_a_model_nothing_trains_unless_forced() -> None:
    assert steps([4, 5]) == [(4, False), (5, False)]
    assert steps([4, 5], force_first_train=True) == [(4, True), (5, False)]


def test_moon_zero_is_divisible_by_every_frequency() -> None:
    assert steps([0, 1], train_frequency=7) == [(0, True), (1, False)]


def test_moons_outside_the_split_are_left_out_and_order_is_ascending() -> None:
    assert [moon for moon, _ in steps([9, 2, 7, 30], first=3, last=20)] == [7, 9]


def test_gaps_name_the_moons_without_rows() -> None:
    assert gaps([2, 3, 6], first=1, last=8) == ((1, 1), (4, 5), (7, 8))
    assert gaps([], first=1, last=2) == ((1, 2),)


@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.integers(0, 9),
    st.booleans(),
    st.booleans(),
)
def test_every_moon_with_rows_is_processed_once_and_trains_by_the_rule(
    moons: set[int], frequency: int, forced: bool, empty: bool
) -> None:
    found = steps(list(moons), train_frequency=frequency, force_first_train=forced, resources_empty=empty)
    assert [moon for moon, _ in found] == sorted(moons)
    for position, (moon, trains) in enumerate(found):
        by_frequency = frequency != 0 and moon % frequency == 0
        assert trains == (by_frequency or (position == 0 and (forced or empty)))
