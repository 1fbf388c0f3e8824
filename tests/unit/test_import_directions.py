"""Imports point one way: the two packages are the two sides of the trust boundary."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
CRUNCH = sorted((SOURCE / "crunch").rglob("*.py"))
OPENCRUNCH = sorted((SOURCE / "opencrunch").rglob("*.py"))
RUNS_INSIDE = "crunch.runner"
STANDARD = {*sys.stdlib_module_names, "annotationlib"}  # the latter from Python 3.14 on


def imports(path: Path, *, at_import_only: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports; what stands in a function is not imported with the file."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            yield from (f"{module}.{alias.name}" for alias in node.names)
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(node)
        if not (at_import_only and lazy):
            todo.extend(ast.iter_child_nodes(node))


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    parents = path.relative_to(SOURCE).parts[: -node.level] if node.level else ()
    return ".".join([*parents, *([node.module] if node.module else [])])


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_there_are_files_to_look_at() -> None:
    assert SOURCE / "crunch" / "parameters.py" in CRUNCH
    assert SOURCE / "opencrunch" / "errors.py" in OPENCRUNCH


@pytest.mark.parametrize("path", CRUNCH, ids=lambda path: str(path.relative_to(SOURCE)))
def test_crunch_does_not_import_opencrunch(path: Path) -> None:
    """The notebook face alone may, when it is used."""
    at_import_only = path.name == "notebook.py"
    tops = {name.partition(".")[0] for name in imports(path, at_import_only=at_import_only)}
    assert "opencrunch" not in tops


@pytest.mark.parametrize("path", CRUNCH, ids=lambda path: str(path.relative_to(SOURCE)))
def test_crunch_imports_only_the_standard_library_with_itself(path: Path) -> None:
    """What serves calls inside the sandbox may also have the participant's own numpy and pandas."""
    tops = {name.partition(".")[0] for name in imports(path, at_import_only=True)}
    serves_calls = path.parent.name == "runner" and path.name != "__init__.py"
    assert tops - STANDARD <= ({"crunch", "numpy", "pandas"} if serves_calls else {"crunch"})


@pytest.mark.parametrize("path", OPENCRUNCH, ids=lambda path: str(path.relative_to(SOURCE)))
def test_opencrunch_does_not_import_what_runs_inside_the_sandbox(path: Path) -> None:
    found = [name for name in imports(path) if f"{name}.".startswith(f"{RUNS_INSIDE}.")]
    assert found == []


@pytest.mark.parametrize("path", OPENCRUNCH, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_command_line_imports_the_command_line(path: Path) -> None:
    if "cli" not in path.relative_to(SOURCE).parts:
        assert [name for name in imports(path) if f"{name}.".startswith("opencrunch.cli.")] == []


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a statement loads in a new interpreter without site packages."""
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); before = set(sys.modules); {statement}; "
    code += "print(*(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_crunch_loads_nothing_that_is_costly() -> None:
    loaded = loaded_by("import crunch")
    assert "crunch.messages" in loaded
    assert (
        loaded & {"typing", "dataclasses", "inspect", "re", "importlib.metadata", "json", "pathlib"} == set()
    )
    assert {name for name in loaded if name.partition(".")[0] not in STANDARD} <= {
        "crunch",
        "crunch.columns",
        "crunch.messages",
    }


def test_crunch_needs_no_third_party_module() -> None:
    loaded = loaded_by("import crunch, crunch.parameters, crunch.names, crunch.runner")
    tops = {name.partition(".")[0] for name in loaded}
    assert tops - STANDARD == {"crunch"}
