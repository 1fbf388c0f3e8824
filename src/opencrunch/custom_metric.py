"""A metric that is a Python function of the organiser's: `file.py:function`."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from crunch.parameters import Binding, SignatureError, resolve
from opencrunch.errors import CompetitionError

PARAMETERS = (
    "prediction",
    "truth",
    "prediction_frame",
    "truth_frame",
    "moon",
    "target_name",
    "id_column_name",
    "moon_column_name",
)
"""What the function may ask for, by name; docs/metrics.md says what each is."""


class CustomMetric:
    """The organiser's function, loaded and ready to be called for one key after the other."""

    def __init__(self, function: Callable[..., Any], binding: Binding, *, file: Path, name: str) -> None:
        """Take a function that `load` found."""
        self._function = function
        self._binding = binding
        self._file = file
        self._name = name

    @property
    def wanted(self) -> tuple[str, ...]:
        """The parameters that the function asks for; the others need not be made."""
        return self._binding.wanted

    def __call__(self, values: Mapping[str, Any]) -> float:
        """Return the function's value for one key; its exceptions and odd results are CompetitionErrors."""
        key = "all rows" if values.get("moon") is None else f"moon {values['moon']}"
        with _blamed(self._file, f"{self._name} failed for {key}"):
            result = self._binding.call(self._function, values)
        if not isinstance(result, Real) or not math.isfinite(result):
            raise CompetitionError(
                f"{self._name} returned {_shown(result)} for {key}; expected one finite number",
                file=self._file.name,
            )
        return float(result)


def load(reference: str, directory: Path) -> CustomMetric:
    """Return the metric that `file.py:function`, relative to the competition's directory, refers to."""
    path, _, name = reference.partition(":")
    file = (directory / path).resolve()
    if not name.isidentifier() or file.suffix != ".py":
        raise CompetitionError(
            f'"{reference}" is neither a built-in metric nor of the form "file.py:function"', key="function"
        )
    if not file.is_relative_to(directory.resolve()) or not file.is_file():
        raise CompetitionError(f'"{path}" is not a file of the competition\'s directory', key="function")
    module = _load_module(file)
    function = getattr(module, name, None)
    if not callable(function):
        functions = [
            key for key, value in vars(module).items() if callable(value) and not key.startswith("_")
        ]
        raise CompetitionError(
            f'there is no function "{name}"; there are: {", ".join(functions) or "none"}', file=file.name
        )
    return CustomMetric(function, _bind(function, name, file), file=file, name=name)


def _load_module(file: Path) -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location(f"_competition_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise CompetitionError("the file cannot be imported as Python", file=file.name)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))  # the file may import its siblings
    try:
        with _blamed(file, "the import failed"):
            spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    return module


def _bind(function: Callable[..., Any], name: str, file: Path) -> Binding:
    try:
        binding = resolve(function, PARAMETERS, name=name)
    except SignatureError as error:
        raise CompetitionError(str(error), file=file.name) from error
    for note in binding.notes:
        if note.level == "warning":
            raise CompetitionError(f"{note.text}. Known: {', '.join(PARAMETERS)}", file=file.name)
    return binding


@contextmanager
def _blamed(file: Path, what: str) -> Iterator[None]:
    """Turn an exception of the organiser's code into an error that names their file and line."""
    try:
        yield
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        place = f"{file.name}, line {line}" if line else file.name
        raise CompetitionError(f"{what}: {type(error).__name__}: {error}", file=place) from error


def _shown(value: object) -> str:
    return str(value) if isinstance(value, Real) or value is None else f"a {type(value).__name__}"
