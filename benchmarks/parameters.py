"""G: what it costs to give a function the parameters that it asks for, per call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.measure import Result, against, take_turns
from crunch.parameters import resolve

PARAMETERS = 6


def run(scale: int) -> Result:
    """Measure calls of a function with 6 parameters, times the scale, out of three times as many names."""
    names = [f"name_{number}" for number in range(3 * PARAMETERS * scale)]
    values: dict[str, Any] = {name: object() for name in names}
    function = _function(names[: PARAMETERS * scale])
    binding = resolve(function, values)
    arguments = {name: values[name] for name in binding.wanted}
    work = {
        "bare call": lambda: function(**arguments),
        "signature read at each call": lambda: _call_anew(function, values),
        "bound once": lambda: binding.call(function, values),
    }
    seconds = take_turns(work, rounds=15, repeats=2_000 // scale)
    return Result(
        benchmark="parameters",
        scale=scale,
        workload=f"a function with {PARAMETERS * scale} parameters, {len(names)} names",
        unit="call",
        cases=against(seconds, {"bound once": "signature read at each call"}),
    )


def _function(parameters: list[str]) -> Callable[..., None]:
    scope: dict[str, Any] = {}
    exec(f"def function({', '.join(parameters)}): pass", scope)
    made: Callable[..., None] = scope["function"]
    return made


def _call_anew(function: Callable[..., object], values: Mapping[str, Any]) -> object:
    """Call a function as one does who looks at the signature each time."""
    arguments = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            arguments[name] = values.get(name)
    return function(**arguments)
