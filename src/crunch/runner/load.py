"""Importing the submission's main module, as a fresh interpreter started beside it would."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import os
import site
import sys
from collections.abc import Collection, Iterable
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any


def prepare_interpreter(directory: str, packages: Iterable[str], holder: str) -> None:
    """Set up what a script may expect: its directory first on the path, exit, display, plain bars."""
    import crunch

    crunch.is_inside_runner = True
    sys.path.insert(0, directory)
    sys.argv[:] = [os.path.join(directory, "main.py")]
    os.environ["PYTHONPATH"] = os.pathsep.join([directory, *packages, holder])  # for what it starts itself
    site.setquit()
    site.sethelper()
    vars(builtins)["display"] = _display
    sys.modules["tqdm.notebook"] = _PlainBars("tqdm.notebook")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def import_main(path: str, functions: Collection[str]) -> ModuleType:
    """Import the file under its own name, registered before it runs, and let `__main__` point to it.

    The annotations of `functions` are never evaluated.
    """
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(name, path, functions))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.modules["__main__"] = _Main(module)
    spec.loader.exec_module(module)
    return module


class _Loader(SourceFileLoader):
    """Compiles a file with the annotations of some functions taken out."""

    def __init__(self, name: str, path: str, functions: Collection[str]) -> None:
        super().__init__(name, path)
        self._functions = frozenset(functions)

    def get_code(self, fullname: str) -> Any:
        """Return the module's code from its source, never from a cache that knows nothing of this loader."""
        tree = ast.parse(self.get_data(self.path), self.path)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in self._functions:
                _strip_annotations(node)
        return compile(tree, self.path, "exec", dont_inherit=True)


def _strip_annotations(node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    node.returns = None
    arguments = node.args
    for argument in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ):
        if argument is not None:
            argument.annotation = None


class _Main(ModuleType):
    """A `__main__` whose names are the main module's: what a notebook pickled as `__main__.X` is found."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__("__main__")
        self.__spec__ = module.__spec__  # a spawned process then imports it by its name
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["_module"], name)


class _PlainBars(ModuleType):
    """`tqdm.notebook` with the bars of plain text: there is no notebook to draw in."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        tqdm = importlib.import_module("tqdm")

        plain = {"tqdm_notebook": "tqdm", "tnrange": "trange"}.get(name, name)
        return getattr(tqdm, plain)


def _display(*values: object, **_: object) -> None:
    """Print values, as a notebook's `display` shows them."""
    for value in values:
        print(value)
