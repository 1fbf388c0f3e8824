"""The names of a competition's columns, as submissions see them."""

from __future__ import annotations

TYPE_CHECKING = False  # `import crunch` does not pay for typing
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, NoReturn, Self, SupportsIndex, overload


class _Method:
    """A method of list that a target's name hides, or that is refused because it would change the list."""

    def __init__(self, *, refused: bool) -> None:
        self.refused = refused

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: ColumnNames | None, owner: type) -> Any:
        if instance is None:
            return self
        if self.name in instance._columns:
            return instance._columns[self.name]
        return instance._refuse if self.refused else getattr(super(ColumnNames, instance), self.name)


class ColumnNames(list[str]):
    """The columns of the targets, in order: immutable, looked up by target name as item or attribute.

    It is a list because pandas takes nothing else for several keys in all places (a tuple is one key).
    """

    __slots__ = ("_columns",)
    _columns: dict[str, str]

    def __init__(self, columns: Mapping[str, str]) -> None:
        """Take the column of each target, by target name, in order."""
        super().__init__(columns.values())
        object.__setattr__(self, "_columns", dict(columns))

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: str | SupportsIndex) -> str: ...
        @overload
        def __getitem__(self, key: slice) -> list[str]: ...

    def __getitem__(self, key: str | SupportsIndex | slice) -> str | list[str]:
        """Return the column of a target or at a position; of a slice a new list."""
        if isinstance(key, str):
            try:
                return self._columns[key]
            except KeyError:
                raise KeyError(f'no target "{key}"; there are: {", ".join(self._columns)}') from None
        return super().__getitem__(key)

    def __getattr__(self, name: str) -> str:
        """Return the column of a target."""
        # An object that __init__ has not filled yet has no _columns: not to be looked for here again.
        if name != "_columns" and name in self._columns:
            return self._columns[name]
        raise AttributeError(f'no target "{name}"')

    def _refuse(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise TypeError("column names cannot be changed; list(...) makes a list that can")

    __setattr__ = __delattr__ = __setitem__ = __delitem__ = _refuse
    if not TYPE_CHECKING:
        append, clear, extend, insert = (_Method(refused=True) for _ in range(4))
        pop, remove, reverse, sort = (_Method(refused=True) for _ in range(4))
        copy, count, index = (_Method(refused=False) for _ in range(3))

    def __iadd__(self, other: Iterable[str]) -> list[str]:  # type: ignore[override,misc]
        """Return a new list, as for a tuple: the names themselves stay as they are."""
        return [*self, *other]

    def __imul__(self, times: SupportsIndex) -> list[str]:  # type: ignore[override]
        """Return a new list, as for a tuple: the names themselves stay as they are."""
        return list(self) * times

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, str]]]:
        return type(self), (dict(self._columns),)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[type[Self], tuple[dict[str, str]]]:
        return self.__reduce__()

    def __repr__(self) -> str:
        return f"ColumnNames({self._columns!r})"


class Columns:
    """All column names of a competition, each under the name of its parameter; immutable.

    The attributes: `id_column_name`, `moon_column_name`, `target_column_name`, `target_column_names`,
    `prediction_column_name`, `prediction_column_names`, `feature_column_names` and
    `feature_column_names_<group>`.
    """

    __slots__ = ("_features", "_names")
    _names: dict[str, Any]
    _features: dict[str, tuple[str, ...]]

    def __init__(
        self,
        *,
        moon: str,
        id: str,
        targets: Mapping[str, str],
        predictions: Mapping[str, str],
        features: Mapping[str, Iterable[str]],
    ) -> None:
        """Take the columns by target name, and the features by group, the default one first."""
        if not targets or list(targets) != list(predictions):
            raise ValueError("targets and predictions need the same target names, at least one")
        names: dict[str, Any] = {
            "id_column_name": id,
            "moon_column_name": moon,
            "target_column_name": next(iter(targets.values())),
            "target_column_names": ColumnNames(targets),
            "prediction_column_name": next(iter(predictions.values())),
            "prediction_column_names": ColumnNames(predictions),
        }
        groups = {group: tuple(columns) for group, columns in features.items()}
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_features", groups)

    def parameters(self) -> dict[str, Any]:
        """Return the value of every parameter that is about columns; its lists are new ones."""
        values = dict(self._names)
        for position, (group, columns) in enumerate(self._features.items()):
            if position == 0:
                values["feature_column_names"] = list(columns)
            values[f"feature_column_names_{group}"] = list(columns)
        return values

    def __getattr__(self, name: str) -> Any:
        """Return the value of a parameter."""
        if name.startswith("_"):  # an object that __init__ has not filled yet
            raise AttributeError(name)
        values = self.parameters()
        if name not in values:
            raise AttributeError(f'no column name "{name}"; there are: {", ".join(values)}')
        return values[name]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("column names cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("column names cannot be changed")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON from which `from_json` makes an equal object."""
        return {
            "moon": self._names["moon_column_name"],
            "id": self._names["id_column_name"],
            "targets": dict(self._names["target_column_names"]._columns),
            "predictions": dict(self._names["prediction_column_names"]._columns),
            "features": {group: list(columns) for group, columns in self._features.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the object that `to_json` described."""
        return cls(**data)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Columns) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        data = self.to_json()
        pairs = (tuple(data["targets"].items()), tuple(data["predictions"].items()))
        return data["moon"], data["id"], *pairs, tuple(self._features.items())

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.to_json())

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.parameters()]

    def __repr__(self) -> str:
        return f"Columns({', '.join(f'{name}={value!r}' for name, value in self.to_json().items())})"


def _restore(kind: type[Columns], data: dict[str, Any]) -> Columns:
    return kind.from_json(data)
