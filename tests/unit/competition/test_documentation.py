"""docs/competition-file.md says all that competition.toml may hold, with its default."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from opencrunch.competition import schema
from opencrunch.competition.file import load
from opencrunch.competition.quantities import parse_size, parse_time

PAGE = (Path(__file__).parents[3] / "docs" / "competition-file.md").read_text(encoding="utf-8")
ROWS = {
    match[1]: match[2].strip("`") for match in re.finditer(r"^\| `([\w.]+)` \| (.+?) \| .+ \|$", PAGE, re.M)
}
TABLES: dict[str, type[BaseModel]] = {
    "": schema.CompetitionEntry,
    "data.": schema.DataEntry,
    "columns.": schema.ColumnsEntry,
    "columns.targets.NAME.": schema.TargetEntry,
    "splits.NAME.": schema.SplitEntry,
    "limits.": schema.LimitsEntry,
    "metrics.": schema.MetricEntry,
}
GROUPING = {"data", "columns", "limits"}  # tables whose keys are documented one by one


def keys() -> Iterator[tuple[str, Any]]:
    for prefix, entry in TABLES.items():
        for name, field in entry.model_fields.items():
            if prefix + name not in GROUPING:
                yield prefix + name, field.default


def test_every_key_is_documented_and_no_other() -> None:
    assert {name for name, _ in keys()} == set(ROWS)


@pytest.mark.parametrize(("name", "default"), list(keys()), ids=[name for name, _ in keys()])
def test_the_documented_default_is_the_real_one(name: str, default: Any) -> None:
    written = ROWS[name]
    if default is PydanticUndefined:
        assert written == "must be there"
    elif name.startswith("limits.") and default is not None:
        parse = parse_time if name.endswith("_time") else parse_size
        assert parse(written.strip('"')) == default
    elif default is not None:
        value = tomllib.loads(f"x = {written}")["x"]
        assert value == ({"default": ["*"]} if name == "columns.features" else _plain(default))
    else:
        assert written != "must be there"


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def test_the_example_is_valid(tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert block is not None
    (tmp_path / "competition.toml").write_text(block[1], encoding="utf-8")
    assert load(tmp_path).name == "sp500"
