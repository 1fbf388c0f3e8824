"""Random generators across forks: what the submission seeded stays, all else differs by call."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np


class Seeds:
    """Watches, while the submission is imported, which generators it seeds."""

    def __init__(self) -> None:
        self._seeded: set[str] = set()
        self._unseeded: list[Any] = []
        self._originals: list[tuple[Any, str, Any]] = []
        self._state = random.getstate()

    def __enter__(self) -> Seeds:
        self._watch(random, "seed", "random")
        self._watch(random, "setstate", "random")
        self._watch(np.random, "seed", "numpy")
        self._watch(np.random, "set_state", "numpy")
        original = np.random.default_rng
        self._originals.append((np.random, "default_rng", original))

        def default_rng(*args: Any, **kwargs: Any) -> Any:
            generator = original(*args, **kwargs)
            if all(value is None for value in (*args, *kwargs.values())):
                self._unseeded.append(generator)
            return generator

        np.random.default_rng = default_rng
        return self

    def __exit__(self, *_: object) -> None:
        for holder, name, original in self._originals:
            setattr(holder, name, original)
        self._originals.clear()
        self._state = random.getstate()

    def _watch(self, holder: Any, name: str, label: str) -> None:
        original: Callable[..., Any] = getattr(holder, name)
        self._originals.append((holder, name, original))

        def watched(*args: Any, **kwargs: Any) -> Any:
            # `seed()` and `seed(None)` ask for a state that nobody chose
            chosen = any(value is not None for value in (*args, *kwargs.values()))
            (self._seeded.add if chosen else self._seeded.discard)(label)
            return original(*args, **kwargs)

        setattr(holder, name, watched)

    def renew(self) -> None:
        """Give each generator that the submission did not seed a new state; called in each fork."""
        if "random" in self._seeded:
            random.setstate(self._state)  # the standard library reseeds it after every fork
        else:
            random.seed()
        if "numpy" not in self._seeded:
            np.random.seed()
        for generator in self._unseeded:
            generator.bit_generator.state = type(generator.bit_generator)().state
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "initial_seed") and torch.initial_seed() == _TORCH_UNSEEDED:
            torch.seed()


_TORCH_UNSEEDED = 67280421310721  # c10's default_rng_seed_val, which an unseeded process starts from
