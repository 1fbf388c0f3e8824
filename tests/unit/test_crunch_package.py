"""What `import crunch` gives to a submission."""

from __future__ import annotations

from importlib.metadata import version

import pytest

import crunch


def test_outside_a_run_the_flag_is_false_and_a_bool() -> None:
    assert crunch.is_inside_runner is False


def test_inside_a_run_load_notebook_gives_the_module_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crunch, "is_inside_runner", True)
    assert crunch.load_notebook() is crunch
    assert crunch.load_notebook("__main__", "resources") is crunch
    assert crunch.load_notebook(module="x", model_directory="y") is crunch


def test_outside_a_run_load_notebook_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="`crunch run`"):
        crunch.load_notebook()


def test_alpha_score_says_that_it_was_withdrawn_and_what_to_use() -> None:
    with pytest.raises(RuntimeError, match=r"withdrawn.*spearman"):
        crunch.alpha_score([1], target=[2])


def test_every_public_name_is_there() -> None:
    assert [name for name in crunch.__all__ if not hasattr(crunch, name)] == []
    assert crunch.model_directory == "resources"
    assert crunch.__version__ == version("opencrunch")
