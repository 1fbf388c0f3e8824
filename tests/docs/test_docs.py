"""Links lead somewhere, examples are valid, tables have what the code has."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from opencrunch import visibility, wire
from opencrunch.competition.file import load
from tests.docs.pages import (
    DOCS,
    PAGES,
    ROOT,
    Block,
    anchors,
    blocks,
    inline_code,
    links,
    name,
    rows,
    section,
)

SOURCE = ROOT / "src"
README = ROOT / "README.md"
EXAMPLES = [block for page in PAGES for block in blocks(page, "python", "toml")]
FILES = [block for block in EXAMPLES if block.language == "toml" and "[splits" in block.text]
SCHEMAS = sorted((DOCS / "schemas").glob("*.json"))


def test_all_pages_are_looked_at() -> None:
    assert {README, DOCS / "cli.md", DOCS / "decisions" / "README.md"} <= set(PAGES)
    assert README in {block.page for block in FILES}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_of_the_docs_is_linked_from_another() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page)}
    assert [page for page in DOCS.rglob("*.md") if page not in linked] == []


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: f"{name(block.page)}-{block.language}")
def test_examples_can_be_read(block: Block) -> None:
    if block.language == "python":
        compile(block.text, block.page.name, "exec")
    else:
        assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", FILES, ids=lambda block: name(block.page))
def test_whole_competition_files_keep_the_rules(block: Block, tmp_path: Path) -> None:
    (tmp_path / "competition.toml").write_text(block.text)
    for path in tomllib.loads(block.text)["data"].values():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert load(tmp_path).metrics


def test_the_competition_of_the_readme_is_the_example() -> None:
    """What the README leaves out of it may differ, what it shows may not."""
    (block,) = blocks(README, "toml")
    whole = tomllib.loads((ROOT / "examples" / "sp500" / "competition.toml").read_text())
    shown = tomllib.loads(block.text)
    assert {key: whole[key] for key in shown if not isinstance(whole[key], dict | list)} == {
        key: value for key, value in shown.items() if not isinstance(value, dict | list)
    }
    assert shown["splits"].items() <= whole["splits"].items()
    assert [metric for metric in shown["metrics"] if metric not in whole["metrics"]] == []


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_schemas_are_schemas(path: Path) -> None:
    schema = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, schema)


def test_the_table_of_causes_has_every_cause_and_no_other() -> None:
    table = section(DOCS / "record.md", "When a run fails")
    documented = {cause for row in rows(table) for cause in re.findall(r"`([a-z-]+)`", row[0])}
    found = {cause for path in (SOURCE / "opencrunch").rglob("*.py") for cause in causes(path)}
    assert found | set(wire._REPORTED) == documented


def causes(path: Path) -> Iterator[str]:
    """Yield the texts that a module calls a cause: as an argument, an attribute or a variable."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield from (text for word in node.keywords if word.arg == "cause" for text in _texts(word.value))
        elif isinstance(node, ast.AnnAssign) and _is_cause(node.target) and node.value:
            yield from _texts(node.value)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if _is_cause(target):
                    yield from _texts(node.value)
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = zip(target.elts, node.value.elts, strict=True)
                    yield from (text for part, value in pairs if _is_cause(part) for text in _texts(value))


def _is_cause(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "cause"


def _texts(node: ast.expr) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def test_the_table_of_artefacts_is_what_decides_who_sees_them() -> None:
    table = section(DOCS / "record.md", "Who sees what")
    assert {row[0]: row[1].strip("`") for row in rows(table)} == visibility.ARTEFACTS


def test_the_map_of_modules_is_true_to_the_tree() -> None:
    mapped = section(DOCS / "architecture.md", "Modules").split("`opencrunch`, the trusted side:")
    for package, table in zip(("crunch", "opencrunch"), mapped, strict=True):
        named = {path.strip("/") for row in rows(table) for path in re.findall(r"`([\w/]+)`", row[0])}
        assert named_modules(package) == {_expand(path, package) for path in named}


def named_modules(package: str) -> set[str]:
    """Return the modules and folders of a package that the map has to name."""
    root = SOURCE / package
    modules = {path.stem for path in root.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in root.glob("*/__init__.py")}
    if package == "opencrunch":
        return modules | folders
    return modules | {f"runner/{path.stem}" for path in (root / "runner").glob("*.py")} - {"runner/__init__"}


def _expand(path: str, package: str) -> str:
    """Return a name of the map with its folder, which is given once for several modules."""
    in_runner = package == "crunch" and (SOURCE / "crunch" / "runner" / f"{path}.py").exists()
    return f"runner/{path}" if in_runner else path


def test_every_decision_is_in_the_index_and_has_its_parts() -> None:
    folder = DOCS / "decisions"
    decisions = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [link for link in links(folder / "README.md") if link[0].isdigit()] == [
        path.name for path in decisions
    ]
    assert [path.name[:3] for path in decisions] == [f"{n:03d}" for n in range(1, len(decisions) + 1)]
    for path in decisions:
        headings = re.findall(r"^## (.+)$", path.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Rejected", "Consequences"], path.name


def test_benchmarks_that_pages_name_exist() -> None:
    from benchmarks.__main__ import MODULES

    text = "\n".join([*(code for page in PAGES for code in inline_code(page)), _shell()])
    named = re.findall(r"(?:dev bench|-m benchmarks) (\w+)", text)
    assert named
    assert {*named} - {"NAME"} <= {*MODULES, *MODULES.values(), "all"}


def test_tasks_of_dev_that_pages_name_exist() -> None:
    text = "\n".join([*(code for page in PAGES for code in inline_code(page)), _shell()])
    named = set(re.findall(r"\./dev (\w+)", text))
    script = (ROOT / "dev").read_text()
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^  (\w+)\)", script, re.MULTILINE))


def _shell() -> str:
    return "\n".join(block.text for page in PAGES for block in blocks(page, "sh", "console"))
