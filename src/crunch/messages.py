"""What a stream is made of."""

from __future__ import annotations

TYPE_CHECKING = False  # `import crunch` does not pay for typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn


class StreamMessage:
    """One message of a stream: a mapping with the single field `x`; immutable."""

    __slots__ = ("x",)
    __match_args__ = ("x",)
    x: float

    def __init__(self, x: float) -> None:
        """Take the value of the message."""
        _set_x(self, x)

    def __getitem__(self, name: str) -> float:
        """Return the field `x`; another name is a KeyError."""
        if name == "x":
            return self.x
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the field `x`; for another name the default."""
        return self.x if name == "x" else default

    def keys(self) -> tuple[str]:
        """Return the names of the fields."""
        return ("x",)

    def values(self) -> tuple[float]:
        """Return the values of the fields."""
        return (self.x,)

    def items(self) -> tuple[tuple[str, float]]:
        """Return the fields as pairs of name and value."""
        return (("x", self.x),)

    def __iter__(self) -> Iterator[str]:
        return iter(("x",))

    def __len__(self) -> int:
        return 1

    def __contains__(self, name: object) -> bool:
        return name == "x"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a StreamMessage cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a StreamMessage cannot be changed")

    def __eq__(self, other: object) -> bool:
        return self.x == other.x if isinstance(other, StreamMessage) else NotImplemented

    def __hash__(self) -> int:
        return hash((StreamMessage, self.x))

    def __reduce__(self) -> tuple[type[StreamMessage], tuple[float]]:
        return StreamMessage, (self.x,)

    def __repr__(self) -> str:
        return f"StreamMessage(x={self.x!r})"


# The slot's own setter: half the cost of object.__setattr__, and streams are made of millions of these.
_set_x = StreamMessage.__dict__["x"].__set__
