"""A message of a stream: one field, found in every way that a mapping's is."""

from __future__ import annotations

import copy
import pickle

import pytest

from crunch import StreamMessage

MESSAGE = StreamMessage(1.5)


def test_the_field_is_an_attribute_and_an_item() -> None:
    assert MESSAGE.x == MESSAGE["x"] == MESSAGE.get("x") == StreamMessage(x=1.5).x == 1.5


def test_a_missing_field_is_a_key_error_as_item_and_an_attribute_error_as_attribute() -> None:
    with pytest.raises(KeyError, match="y"):
        MESSAGE["y"]
    with pytest.raises(AttributeError, match="y"):
        _ = MESSAGE.y  # type: ignore[attr-defined]
    assert MESSAGE.get("y") is None
    assert MESSAGE.get("y", 3) == 3


def test_it_is_a_mapping_of_its_field() -> None:
    assert list(MESSAGE) == list(MESSAGE.keys()) == ["x"]
    assert list(MESSAGE.values()) == [1.5]
    assert list(MESSAGE.items()) == [("x", 1.5)]
    assert dict(MESSAGE) == {**MESSAGE} == {"x": 1.5}
    assert len(MESSAGE) == 1
    assert "x" in MESSAGE
    assert "y" not in MESSAGE


def test_it_cannot_be_changed() -> None:
    for name in ("x", "y"):
        with pytest.raises(AttributeError, match="cannot be changed"):
            setattr(MESSAGE, name, 2.0)
        with pytest.raises(AttributeError, match="cannot be changed"):
            delattr(MESSAGE, name)
    with pytest.raises(TypeError):
        MESSAGE["x"] = 2.0  # type: ignore[index]
    assert not hasattr(MESSAGE, "__dict__")


def test_messages_are_compared_by_value() -> None:
    assert StreamMessage(1.5) == MESSAGE
    assert StreamMessage(2.0) != MESSAGE
    assert MESSAGE != 1.5
    assert len({MESSAGE, StreamMessage(1.5), StreamMessage(2.0)}) == 2
    assert StreamMessage(float("nan")) != StreamMessage(float("nan"))


def test_it_survives_repr_pickle_and_copy() -> None:
    assert repr(MESSAGE) == "StreamMessage(x=1.5)"
    assert eval(repr(MESSAGE)) == MESSAGE
    assert copy.deepcopy(MESSAGE) == MESSAGE
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(MESSAGE, protocol)) == MESSAGE


def test_it_can_be_matched() -> None:
    match MESSAGE:
        case StreamMessage(x):
            assert x == 1.5
        case _:
            pytest.fail("no match")
