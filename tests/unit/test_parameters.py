"""Dynamic parameters: who receives what, and what is said about it."""

from __future__ import annotations

import functools
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crunch.names import ALIASES, FORMATS, NAMES, available, canonical, described
from crunch.parameters import Binding, SignatureError, resolve

TRAIN = available("cross-sectional", "train", groups=["default", "slow"])
INFER = available("cross-sectional", "infer", groups=["default", "slow"])
VALUES: dict[str, Any] = {name: f"<{name}>" for name in {*TRAIN, *INFER}}

Function = Callable[..., Any]


def call(function: Function, known: tuple[str, ...] = TRAIN) -> Any:
    return resolve(function, known).call(function, VALUES)


def texts(
    function: Function, level: str, known: tuple[str, ...] = TRAIN, name: str | None = None
) -> list[str]:
    return [note.text for note in resolve(function, known, name=name).notes if note.level == level]


# what is passed


def test_known_names_receive_their_values_whatever_their_order() -> None:
    def train(moon, y_train, X_train):  # type: ignore[no-untyped-def]
        return X_train, y_train, moon

    assert call(train) == ("<X_train>", "<y_train>", "<moon>")
    assert resolve(train, TRAIN).wanted == ("moon", "y_train", "X_train")
    assert resolve(train, TRAIN).notes == ()


def test_only_what_is_asked_for_is_wanted() -> None:
    def train(X_train, mystery, embargo=3, *args, **kwargs):  # type: ignore[no-untyped-def]
        return X_train, mystery, embargo, args, kwargs

    assert resolve(train, TRAIN).wanted == ("X_train",)
    assert call(train) == ("<X_train>", None, 3, (), {})


def test_two_spellings_of_a_name_give_the_same_object() -> None:
    def train(X_train, x_train, Y_train, y_train, moon, current_moon, loop_moon):  # type: ignore[no-untyped-def]
        return [X_train, x_train], [Y_train, y_train], [moon, current_moon, loop_moon]

    binding = resolve(train, TRAIN)
    values = {"X_train": object(), "y_train": object(), "moon": object()}

    assert binding.wanted == ("X_train", "y_train", "moon")
    for same, name in zip(binding.call(train, values), values, strict=True):
        assert all(value is values[name] for value in same)


def test_a_default_is_kept_even_for_a_known_name_with_one_note() -> None:
    def train(X_train=None, my_own=42):  # type: ignore[no-untyped-def]
        return X_train, my_own

    assert call(train) == (None, 42)
    assert resolve(train, TRAIN).wanted == ()
    assert texts(train, "warning") == []
    (note,) = texts(train, "note")
    assert 'train: parameter "X_train" keeps its default' in note


def test_an_array_or_a_frame_as_default_is_no_matter() -> None:
    array, frame = np.arange(3), pd.DataFrame({"a": [1, 2]})

    def infer(X_test, weights=array, *, moon=frame, X_train=array):  # type: ignore[no-untyped-def]
        return X_test, weights, moon

    result = call(infer, INFER)
    assert result[0] == "<X_test>"
    assert result[1] is array
    assert result[2] is frame


def test_positional_only_parameters_are_passed_by_position() -> None:
    def train(X_train, oddity, /, moon, embargo=1, *, y_train):  # type: ignore[no-untyped-def]
        return X_train, oddity, moon, embargo, y_train

    def infer(X_test, moon=5, /):  # type: ignore[no-untyped-def]
        return X_test, moon

    assert call(train) == ("<X_train>", None, "<moon>", 1, "<y_train>")
    assert call(infer, INFER) == ("<X_test>", 5)


def test_a_wanted_name_without_value_is_an_error_that_names_it() -> None:
    def train(X_train, moon):  # type: ignore[no-untyped-def]
        raise AssertionError("must not be called")

    with pytest.raises(LookupError, match="no value was given for the parameter 'moon'"):
        resolve(train, TRAIN).call(train, {"X_train": 1})


def received(name: str) -> str | None:
    return VALUES[canonical(name)] if canonical(name) in TRAIN else None


@given(st.data())
def test_each_parameter_receives_what_its_declaration_says(data: st.DataObject) -> None:
    pool = st.sampled_from([*TRAIN, *ALIASES, "mystery", "X_tran", "é"])
    names = data.draw(st.lists(pool, unique=True, max_size=8))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(names)), min_size=2, max_size=2)))
    defaulted = data.draw(st.sets(st.sampled_from(names))) if names else set()
    # positional parameters without default must come before those with one
    first = sorted(names[: cuts[1]], key=lambda name: name in defaulted)
    parts = [name + "=7" * (name in defaulted) for name in first]
    if 0 < cuts[0] <= len(parts):
        parts.insert(cuts[0], "/")
    parts += ["*"] * (cuts[1] < len(names))
    parts += [name + "=7" * (name in defaulted) for name in names[cuts[1] :]]
    scope: dict[str, Any] = {}
    exec(f"def train({', '.join(parts)}): return dict(locals())", scope)

    expected = {name: 7 if name in defaulted else received(name) for name in names}
    assert call(scope["train"]) == expected
    unknown = [name for name in names if name not in defaulted and canonical(name) not in TRAIN]
    assert len(texts(scope["train"], "warning")) == len(unknown)


# what is said


def test_an_unknown_name_is_none_with_one_warning_naming_the_closest_name() -> None:
    def train(X_tran):  # type: ignore[no-untyped-def]
        return X_tran

    assert call(train) is None
    assert texts(train, "warning") == [
        'train: parameter "X_tran" is not a name of the interface and receives None; '
        'the closest known name is "X_train"'
    ]


@pytest.mark.parametrize(
    ("asked", "closest"),
    [
        ("model_dir_path", "model_directory_path"),
        ("MOON", "moon"),
        ("hasgpu", "has_gpu"),
        ("x_trian", "X_train"),
        ("feature_column_names_slo", "feature_column_names_slow"),
        ("target_columns_names", "target_column_names"),
    ],
)
def test_the_closest_name_is_found(asked: str, closest: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def train({asked}): pass", scope)
    (warning,) = texts(scope["train"], "warning")
    assert warning.endswith(f'"{closest}"')


def test_a_name_of_the_other_function_is_none_and_said_to_be_the_others() -> None:
    def train(X_test):  # type: ignore[no-untyped-def]
        return X_test

    assert call(train) is None
    (warning,) = texts(train, "warning")
    assert '"X_test" is not available in train, only in infer' in warning
    assert '"X_train"' in warning


def test_a_name_of_another_format_is_none_and_said_not_to_be_available() -> None:
    def train(streams, feature_column_names_fast):  # type: ignore[no-untyped-def]
        return streams, feature_column_names_fast

    assert call(train) == (None, None)
    first, second = texts(train, "warning")
    assert '"streams" is not available in this competition' in first
    assert '"feature_column_names_fast" is not available in this competition' in second


def test_star_arguments_receive_nothing_with_one_warning() -> None:
    def train(X_train, *args, **kwargs):  # type: ignore[no-untyped-def]
        return X_train, args, kwargs

    assert call(train) == ("<X_train>", (), {})
    (warning,) = texts(train, "warning")
    assert '"*args" and "**kwargs" receive nothing' in warning


def test_notes_name_the_function_as_it_was_looked_up() -> None:
    def fit(mystery):  # type: ignore[no-untyped-def]
        return mystery

    (warning,) = texts(functools.partial(fit), "warning", name="train")
    assert warning.startswith("train: ")


def test_nothing_known_leaves_no_name_to_propose() -> None:
    def train(X_tran):  # type: ignore[no-untyped-def]
        return X_tran

    (warning,) = texts(train, "warning", known=())
    assert warning.endswith("receives None")


# annotations


def test_annotations_are_never_evaluated() -> None:
    source = """
        from __future__ import annotations
        import typing
        def train(X_train: undefined.Thing, moon: 1 / 0) -> typing.Generator[float]:
            return X_train, moon
    """
    scope: dict[str, Any] = {}
    exec(textwrap.dedent(source), scope)
    assert call(scope["train"]) == ("<X_train>", "<moon>")


def test_annotations_as_strings_are_never_evaluated() -> None:
    def train(X_train: undefined, moon: print("evaluated")) -> typing.Generator[float]:  # type: ignore # noqa
        return X_train, moon

    assert train.__annotations__["X_train"] == "undefined"
    assert call(train) == ("<X_train>", "<moon>")


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="annotations are evaluated by `def` before Python 3.14"
)
def test_lazy_annotations_are_never_evaluated() -> None:
    scope: dict[str, Any] = {"hit": []}
    exec("def train(X_train: hit.append(1), moon: undefined) -> 1 / 0: return X_train, moon", scope)
    assert call(scope["train"]) == ("<X_train>", "<moon>")
    assert scope["hit"] == []


# callables of any kind


def test_partial_objects_work() -> None:
    def fit(depth, X_train, moon, y_train=None):  # type: ignore[no-untyped-def]
        return depth, X_train, moon, y_train

    assert call(functools.partial(fit, 4)) == (4, "<X_train>", "<moon>", None)
    assert call(functools.partial(fit, depth=4)) == (4, "<X_train>", "<moon>", None)
    assert call(functools.partial(fit, 4, moon=np.arange(2)))[1] == "<X_train>"


def test_a_keyword_that_partial_bound_stays_bound() -> None:
    def fit(X_train, moon, embargo):  # type: ignore[no-untyped-def]
        return X_train, moon, embargo

    partial = functools.partial(fit, moon=7)
    assert call(partial) == ("<X_train>", 7, "<embargo>")
    assert resolve(partial, TRAIN).wanted == ("X_train", "embargo")
    assert 'fit: parameter "moon" keeps' in texts(partial, "note", name="fit")[0]


def test_objects_with_call_and_bound_methods_work() -> None:
    class Model:
        def __call__(self, X_train, moon):  # type: ignore[no-untyped-def]
            return X_train, moon

        def fit(self, y_train, /):  # type: ignore[no-untyped-def]
            return y_train

        @classmethod
        def make(cls, embargo):  # type: ignore[no-untyped-def]
            return embargo

        @staticmethod
        def still(has_gpu):  # type: ignore[no-untyped-def]
            return has_gpu

    assert call(Model()) == ("<X_train>", "<moon>")
    assert call(Model().fit) == "<y_train>"
    assert call(Model.make) == "<embargo>"
    assert call(Model().still) == "<has_gpu>"


def test_lambdas_generators_and_classes_work() -> None:
    def infer(X_test, moon):  # type: ignore[no-untyped-def]
        yield X_test
        yield moon

    class Model:
        def __init__(self, X_train):  # type: ignore[no-untyped-def]
            self.seen = X_train

    assert call(lambda X_train, moon: (X_train, moon)) == ("<X_train>", "<moon>")
    assert list(call(infer, INFER)) == ["<X_test>", "<moon>"]
    assert call(Model).seen == "<X_train>"


def test_a_wrapper_shows_the_parameters_of_what_it_wraps() -> None:
    def plain(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return "wrapped", function(*args, **kwargs)

        return wrapper

    def positional(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return "wrapped", function(*args)

        return wrapper

    def keyword(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(**kwargs: Any) -> Any:
            return "wrapped", function(**kwargs)

        return wrapper

    def mixed(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(first: Any, /, *rest: Any, **kwargs: Any) -> Any:
            return "wrapped", function(first, *rest, **kwargs)

        return wrapper

    def train(X_train, moon, mystery, embargo=1):  # type: ignore[no-untyped-def]
        return X_train, moon, mystery, embargo

    inner = ("<X_train>", "<moon>", None, 1)
    for decorator in (plain, positional, keyword, mixed):
        assert call(decorator(train)) == ("wrapped", inner), decorator
    assert call(plain(positional(train))) == ("wrapped", ("wrapped", inner))
    assert call(positional(plain(train))) == ("wrapped", ("wrapped", inner))
    assert call(plain(keyword(train))) == ("wrapped", ("wrapped", inner))
    assert call(functools.partial(plain(train), embargo=2)) == ("wrapped", (*inner[:3], 2))


def test_a_decorated_method_is_called_as_it_can_be() -> None:
    def positional(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    def plain(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            return function(self, *args, **kwargs)

        return wrapper

    class Model:
        @plain
        @positional
        def train(self, moon, X_train):  # type: ignore[no-untyped-def]
            return X_train, moon

    assert call(Model().train) == ("<X_train>", "<moon>")


def test_a_wrapper_that_fills_in_parameters_is_taken_at_its_own() -> None:
    def train(X_train, moon, depth):  # type: ignore[no-untyped-def]
        return X_train, moon, depth

    @functools.wraps(train)
    def wrapper(X_train, moon):  # type: ignore[no-untyped-def]
        return train(X_train, moon, depth=3)  # type: ignore[no-untyped-call]

    assert call(wrapper) == ("<X_train>", "<moon>", 3)
    assert texts(wrapper, "warning") == []


def test_a_wrapper_without_wraps_receives_nothing_and_says_so() -> None:
    def wrapper(*args, **kwargs):  # type: ignore[no-untyped-def]
        return args, kwargs

    assert call(wrapper) == ((), {})
    assert len(texts(wrapper, "warning")) == 1


def test_cached_functions_work() -> None:
    @functools.lru_cache
    def train(X_train, moon):  # type: ignore[no-untyped-def]
        return X_train, moon

    assert call(train) == ("<X_train>", "<moon>")


def test_a_builtin_that_hides_its_parameters_is_a_clear_error() -> None:
    with pytest.raises(SignatureError, match=r"train .*does not tell its parameters.*`def`"):
        resolve(max, TRAIN, name="train")


def test_what_is_no_function_is_a_clear_error() -> None:
    with pytest.raises(SignatureError, match="infer is a int, not a function"):
        resolve(3, INFER, name="infer")  # type: ignore[arg-type]


# the table of names


def test_each_function_has_the_names_of_its_format() -> None:
    assert {"X_train", "y_train"} <= set(TRAIN)
    assert "X_train" not in INFER
    assert "X_test" not in TRAIN
    assert {"feature_column_names_default", "feature_column_names_slow"} <= {*TRAIN} & {*INFER}
    assert not any("<" in name for name in TRAIN)
    for name in ("model_directory_path", "data_directory_path", "has_gpu"):
        assert all(
            name in available(format, function) for format in FORMATS for function in ("train", "infer")
        )


def test_every_alias_leads_to_a_name() -> None:
    assert ALIASES["x_test"] == "X_test"
    assert set(ALIASES.values()) <= set(NAMES)
    assert not set(ALIASES) & set(NAMES)
    assert described("feature_column_names_any") is NAMES["feature_column_names_<group>"]
    assert described("mystery") is None


def test_the_page_of_parameters_has_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "parameters.md"
    table = page.read_text(encoding="utf-8").partition("## Names")[2]
    rows = re.findall(r"^\| (`.*) \|$", table, flags=re.MULTILINE)
    assert rows == [table_row(name) for name in NAMES]


def table_row(name: str) -> str:
    entry = NAMES[name]
    letters = {"train": "T", "infer": "I"}
    cells = [", ".join(f"`{spelling}`" for spelling in (entry.name, *entry.aliases))]
    cells += [" ".join(letters[function] for function in entry.formats.get(format, ())) for format in FORMATS]
    return " | ".join([*cells, f"`{entry.type}`", entry.value])


def test_a_binding_is_immutable() -> None:
    binding = Binding(wanted=(), notes=(), positional=(), keywords=())
    with pytest.raises(AttributeError):
        binding.wanted = ("X_train",)  # type: ignore[misc]
