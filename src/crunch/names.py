"""The names of the interface: what a parameter of `train` or `infer` may be called, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FORMATS = ("cross-sectional", "dag", "stream", "spatial")
GROUP_PREFIX = "feature_column_names_"

_TRAIN = ("train",)
_INFER = ("infer",)
_BOTH = ("train", "infer")


@dataclass(frozen=True, kw_only=True)
class Name:
    """One name: the formats and functions that have it, what it receives, and its other spellings."""

    name: str
    type: str
    value: str
    formats: Mapping[str, tuple[str, ...]]
    aliases: tuple[str, ...] = field(default=())

    def functions(self) -> tuple[str, ...]:
        """Return the functions that have the name in any format."""
        return tuple(function for function in _BOTH if any(function in has for has in self.formats.values()))


def _name(
    name: str, kind: str, value: str, functions: tuple[str, ...], formats: Iterable[str], *aliases: str
) -> Name:
    return Name(name=name, type=kind, value=value, formats=dict.fromkeys(formats, functions), aliases=aliases)


_FRAMES = ("cross-sectional", "dag")
_TABLES = ("cross-sectional", "dag", "stream")
_TARGETS = ("stream", "spatial")

_ALL = (
    _name("X_train", "DataFrame", "features of the training period", _TRAIN, _FRAMES, "x_train"),
    _name("y_train", "DataFrame", "targets of the training period", _TRAIN, _FRAMES, "Y_train"),
    _name("X_test", "DataFrame", "features of the moon being predicted", _INFER, _FRAMES, "x_test"),
    _name("streams", "list", "re-iterables of `StreamMessage`", _TRAIN, ("stream",)),
    _name("stream", "iterator", "one-shot iterator of `StreamMessage`", _INFER, ("stream",)),
    _name(
        "data_directory_path",
        "str",
        "directory with the public data files (`None` in formats without files)",
        _BOTH,
        FORMATS,
    ),
    _name("data_file_path", "str", "file of the target being predicted", _INFER, ("spatial",)),
    _name("target_name", "str", "name of the target being predicted", _INFER, ("spatial",)),
    _name("target_names", "list[str]", "all target names", _BOTH, _TARGETS),
    _name("number_of_features", "int", "count of the feature columns", _BOTH, FORMATS),
    _name("model_directory_path", "str", "path of resources", _BOTH, FORMATS),
    _name("id_column_name", "str", "the id column", _BOTH, _TABLES),
    _name("moon_column_name", "str", "the moon column", _BOTH, _TABLES),
    _name("target_column_name", "str", "the first target's column", _BOTH, _TABLES),
    _name("target_column_names", "ColumnNames", "the columns of all targets", _BOTH, _TABLES),
    _name("prediction_column_name", "str", "the first prediction column", _BOTH, _TABLES),
    _name("prediction_column_names", "ColumnNames", "all prediction columns", _BOTH, _TABLES),
    _name("feature_column_names", "list[str]", "the default group's columns", _BOTH, _FRAMES),
    _name(f"{GROUP_PREFIX}<group>", "list[str]", "a group's columns", _BOTH, _FRAMES),
    _name("column_names", "Columns", "all column names as one immutable object", _BOTH, FORMATS),
    _name("moon", "int", "the moon being processed", _BOTH, _FRAMES, "current_moon", "loop_moon"),
    _name("embargo", "int", "the embargo, in moons", _BOTH, FORMATS),
    _name("has_gpu", "bool", "whether this run has a GPU", _BOTH, FORMATS),
    _name("has_trained", "bool", "whether `train` is called for this key", _BOTH, FORMATS),
)

NAMES: Mapping[str, Name] = {name.name: name for name in _ALL}
"""Every name of the interface by its first spelling; `<group>` stands for a group of features."""

ALIASES: Mapping[str, str] = {alias: name.name for name in _ALL for alias in name.aliases}
"""The other spellings, each with the name whose value it receives: the same object."""


def canonical(name: str) -> str:
    """Return the first spelling of a name; a name that is no alias is returned as it is."""
    return ALIASES.get(name, name)


def available(format: str, function: str, groups: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names, in their first spelling, that a format gives to `train` or to `infer`."""
    found: list[str] = []
    for name in _ALL:
        if function not in name.formats.get(format, ()):
            continue
        if name.name.startswith(GROUP_PREFIX):
            found.extend(GROUP_PREFIX + group for group in groups)
        else:
            found.append(name.name)
    return tuple(found)


def described(name: str) -> Name | None:
    """Return what the interface says of a name, a group's columns included; None when it has no such name."""
    name = canonical(name)
    if name.startswith(GROUP_PREFIX):
        name = f"{GROUP_PREFIX}<group>"
    return NAMES.get(name)
