"""What a submission may import: it lives beside participant code and costs next to nothing to import."""

from __future__ import annotations

import sys

from crunch.columns import Columns
from crunch.messages import StreamMessage

TYPE_CHECKING = False  # `import crunch` does not pay for typing
if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn

__all__ = [
    "Columns",
    "StreamMessage",
    "__version__",
    "alpha_score",
    "is_inside_runner",
    "load_notebook",
    "model_directory",
]

__version__ = "0.1.0"

is_inside_runner: bool = False
"""Whether this process runs a submission; the runner sets it before it imports one."""

model_directory: str = "resources"
"""The path of the model directory, below the working directory."""


def load_notebook(module: str = "__main__", model_directory: str = "resources") -> ModuleType:
    """Return what a notebook calls `crunch` from then on: inside a run, this module.

    Outside a run it is a RuntimeError: this version has no notebook face.
    """
    if is_inside_runner:
        return sys.modules[__name__]
    raise RuntimeError(
        "load_notebook() works only inside a run: this version of crunch has no notebook functions. "
        "Put train and infer into main.py and use the command `crunch run`"
    )


def alpha_score(*arguments: object, **keywords: object) -> NoReturn:
    """Raise a RuntimeError: the function was withdrawn."""
    raise RuntimeError(
        "alpha_score was withdrawn. The local metric to use is the competition's own, which `crunch run` "
        'prints for the local split (most often "spearman": the rank correlation within each moon)'
    )
