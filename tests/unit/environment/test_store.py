"""Removing environments: the least recently used first, never one in use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from opencrunch.environment import Environment, trim
from opencrunch.environment.layout import Layout
from opencrunch.errors import PlatformError


def publish(cache: Path, digest: str, used: float, size: int = 100) -> Environment:
    layout = Layout(cache=cache)
    layout.create()
    path = layout.environments / digest
    path.mkdir()
    record = {"schema_version": 1, "digest": digest, "bytes": size}
    (path / "environment.json").write_text(json.dumps(record))
    (layout.used / digest).touch()
    os.utime(layout.used / digest, (used, used))
    return Environment(
        path=path,
        interpreter=Path("/usr/bin/python3"),
        python_version="3.11.7",
        prefix=Path("/usr"),
        standard_library=(),
        site_packages=path / "site-packages",
        digest=digest,
        lock_digest="0",
        packages={},
    )


def test_the_least_recently_used_go_until_the_rest_fits(tmp_path: Path) -> None:
    for digest, used in (("new", 300.0), ("old", 100.0), ("middle", 200.0)):
        publish(tmp_path, digest, used)
    assert trim(tmp_path, 300) == ()
    assert trim(tmp_path, 250) == ("old",)
    assert trim(tmp_path, 0) == ("middle", "new")
    assert [path for path in (tmp_path / "environments").iterdir() if not path.name.startswith(".")] == []
    assert list((tmp_path / "environments" / ".trash").iterdir()) == []


def test_one_that_is_held_stays(tmp_path: Path) -> None:
    held = publish(tmp_path, "held", 100.0)
    publish(tmp_path, "free", 200.0)
    with held.hold(), held.hold():
        assert trim(tmp_path, 0) == ("free",)
        assert held.path.is_dir()
    assert trim(tmp_path, 0, grace=0) == ("held",)


def test_one_that_was_just_looked_up_stays(tmp_path: Path) -> None:
    held = publish(tmp_path, "fresh", 100.0)
    with held.hold():
        pass  # stamped when it is let go
    assert trim(tmp_path, 0) == ()
    assert trim(tmp_path, 0, grace=0) == ("fresh",)


def test_holding_one_that_was_removed_meanwhile_is_an_error(tmp_path: Path) -> None:
    environment = publish(tmp_path, "gone", 100.0)
    trim(tmp_path, 0)
    with pytest.raises(PlatformError, match="removed"), environment.hold():
        pass


def test_an_empty_cache_has_nothing_to_remove(tmp_path: Path) -> None:
    assert trim(tmp_path, 0) == ()
