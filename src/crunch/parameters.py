"""Dynamic parameters: a function is given what it asks for by name.

`resolve` looks once at a function's signature and the names that there are; the `Binding` that it returns
calls the function as often as needed, at the price of a dict.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any, Literal

from crunch.names import ALIASES, canonical, described

Arguments = tuple[list[Any], dict[str, Any]]

_SIGNATURE_OPTIONS: dict[str, Any] = {}
if sys.version_info >= (3, 14):
    # From 3.14 on annotations are evaluated when they are first read; as strings they never are.
    import annotationlib

    _SIGNATURE_OPTIONS["annotation_format"] = annotationlib.Format.STRING


class SignatureError(TypeError):
    """A function cannot be called by parameter name: it is no callable, or hides its parameters."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """What the author of a function should know of one of its parameters."""

    level: Literal["note", "warning"]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """How one function is called: which names it wants, and what there is to say about the others.

    `wanted` holds names in their first spelling (`X_train` when the function asks for `x_train`), each once,
    in the order of declaration. `positional` and `keywords` name the values that are passed; None stands for
    the value None.
    """

    wanted: tuple[str, ...]
    notes: tuple[Note, ...]
    positional: tuple[str | None, ...]
    keywords: tuple[tuple[str, str | None], ...]

    def arguments(self, values: Mapping[str, Any]) -> Arguments:
        """Return the arguments of a call; a wanted name without a value is a LookupError."""
        try:
            return (
                [None if name is None else values[name] for name in self.positional],
                {key: None if name is None else values[name] for key, name in self.keywords},
            )
        except KeyError as error:
            raise LookupError(
                f"no value was given for the parameter {error.args[0]!r}; wanted: {', '.join(self.wanted)}"
            ) from None

    def call(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        """Call the function that was resolved with the values that it wants; others are ignored."""
        positional, keywords = self.arguments(values)
        return function(*positional, **keywords)


def resolve(function: Callable[..., Any], known: Collection[str], *, name: str | None = None) -> Binding:
    """Return how a function is called when the names in `known` have values.

    `name` is what the function is called in notes, by default its own name. A name in `known` brings its
    other spellings along. A callable whose parameters cannot be told is a SignatureError.
    """
    name = name or getattr(function, "__name__", None) or type(function).__name__
    if not callable(function):
        raise SignatureError(f"{name} is a {type(function).__name__}, not a function")
    parameters, by_position = _parameters_to_pass(function, name)
    notes: list[Note] = []
    passed: list[tuple[Parameter, str | None]] = []
    for parameter in parameters:
        value = canonical(parameter.name)
        available = value if value in known else parameter.name if parameter.name in known else None
        if parameter.default is not Parameter.empty:
            if available:
                notes.append(_kept(name, parameter))
        elif parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            passed.append((parameter, available))
            if available is None:
                notes.append(_unknown(name, parameter.name, known))
    notes.extend(_variadic(name, parameters))
    return Binding(
        wanted=tuple(dict.fromkeys(value for _, value in passed if value)),
        notes=tuple(notes),
        positional=tuple(value for parameter, value in passed if _positional(parameter, by_position)),
        keywords=tuple(
            (parameter.name, value) for parameter, value in passed if not _positional(parameter, by_position)
        ),
    )


def _parameters_to_pass(function: Callable[..., Any], name: str) -> tuple[Sequence[Parameter], bool]:
    """Return the parameters that the author means, and whether they are to be passed by position.

    A wrapper made with `functools.wraps` shows the parameters of what it wraps. If it takes them neither by
    keyword nor by position, it is taken at its own.
    """
    meant = _signature(function, name)
    layers = list(_layers(function))
    for by_position in (False, True):
        if all(_accepts(layer, meant, by_position) for layer in layers):
            return tuple(meant.parameters.values()), by_position
    return tuple(layers[0].parameters.values()), False


def _signature(function: Callable[..., Any], name: str) -> Signature:
    try:
        return inspect.signature(function, **_SIGNATURE_OPTIONS)
    except (ValueError, TypeError) as error:
        raise SignatureError(
            f"{name} ({function!r}) does not tell its parameters, which are matched by name: "
            "wrap it in a function with `def`"
        ) from error


def _layers(function: Callable[..., Any]) -> Iterator[Signature]:
    """Yield the own signature of the callable and of each wrapper below it, where it can be told."""
    inner: Any = function
    seen: set[int] = set()
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        try:
            yield inspect.signature(inner, follow_wrapped=False, **_SIGNATURE_OPTIONS)
        except (ValueError, TypeError):
            pass  # a wrapper written in C, such as functools.lru_cache, passes on what it gets
        wrapped: Any = getattr(inner, "__wrapped__", None)
        # A method's inner functions expect the object too.
        binds = inspect.ismethod(inner) and inspect.isfunction(wrapped)
        inner = wrapped.__get__(inner.__self__) if binds else wrapped


def _accepts(layer: Signature, meant: Signature, by_position: bool) -> bool:
    passed = [
        parameter
        for parameter in meant.parameters.values()
        if parameter.default is Parameter.empty
        and parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    ]
    positional = [None for parameter in passed if _positional(parameter, by_position)]
    keywords = {parameter.name: None for parameter in passed if not _positional(parameter, by_position)}
    try:
        layer.bind(*positional, **keywords)
    except TypeError:
        return False
    return True


def _positional(parameter: Parameter, by_position: bool) -> bool:
    return parameter.kind is Parameter.POSITIONAL_ONLY or (
        by_position and parameter.kind is Parameter.POSITIONAL_OR_KEYWORD
    )


def _kept(function: str, parameter: Parameter) -> Note:
    text = (
        f'{function}: parameter "{parameter.name}" keeps its default; remove the default to receive the value'
    )
    return Note(level="note", text=text)


def _unknown(function: str, parameter: str, known: Collection[str]) -> Note:
    name = described(parameter)
    if name is None:
        reason = "is not a name of the interface"
    elif function in ("train", "infer") and function not in name.functions():
        reason = f"is not available in {function}, only in {' and '.join(name.functions())}"
    else:
        reason = "is not available in this competition"
    closest = _closest(parameter, known)
    hint = f'; the closest known name is "{closest}"' if closest else ""
    return Note(level="warning", text=f'{function}: parameter "{parameter}" {reason} and receives None{hint}')


def _closest(name: str, known: Collection[str]) -> str | None:
    import difflib

    spellings = [*known, *(alias for alias, first in ALIASES.items() if first in known)]
    by_lower = {spelling.lower(): spelling for spelling in reversed(spellings)}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    return by_lower[matches[0]] if matches else None


def _variadic(function: str, parameters: Sequence[Parameter]) -> Iterator[Note]:
    stars = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
    names = [
        f'"{stars[parameter.kind]}{parameter.name}"' for parameter in parameters if parameter.kind in stars
    ]
    if names:
        verb = "receives" if len(names) == 1 else "receive"
        text = f"{function}: {' and '.join(names)} {verb} nothing; name the parameters that are wanted"
        yield Note(level="warning", text=text)
