"""What the resolver says is passed on without what belongs to the operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from opencrunch.environment.installer import clean, uv_environment

FOLDER = Path("/var/tmp/scratch-1")


def test_addresses_credentials_and_paths_are_taken_out() -> None:
    environment = {
        "UV_DEFAULT_INDEX": "https://robot:hunter22@packages.internal.example/simple",
        "UV_FIND_LINKS": "/srv/wheels,/srv/more",
    }
    text = (
        "error: Failed to fetch: `https://robot:hunter22@packages.internal.example/simple/six/`\n"
        "  cause: dns error: packages.internal.example, user robot, password hunter22\n"
        "  cause: /srv/wheels/six.whl and /var/tmp/scratch-1/wanted.txt\n"
    )
    cleaned = clean(text, environment, FOLDER)
    for secret in ("robot", "hunter22", "packages.internal", "/srv/wheels", "scratch-1"):
        assert secret not in cleaned
    assert cleaned.startswith("Failed to fetch")


def test_colours_and_control_characters_are_taken_out() -> None:
    cleaned = clean("\x1b[31merror\x1b[0m: bad\x07\n  - six\n  ╰─▶ because", {}, FOLDER)
    assert cleaned == "bad\nsix\nbecause"


def test_a_long_reason_is_cut() -> None:
    assert len(clean("x " * 10_000, {}, FOLDER)) < 5000


def test_only_settings_of_the_index_reach_the_installer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_COMPILE_BYTECODE", "UV_TARGET", "UV_OVERRIDE"):
        monkeypatch.setenv(name, "https://example.org/simple")
    given = uv_environment(FOLDER)
    assert {"UV_DEFAULT_INDEX", "UV_INDEX"} <= given.keys()
    assert not {"UV_COMPILE_BYTECODE", "UV_TARGET", "UV_OVERRIDE"} & given.keys()


def test_settings_of_pip_count_where_uv_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/simple")
    assert uv_environment(FOLDER)["UV_DEFAULT_INDEX"] == "https://example.org/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://example.net/simple")
    assert uv_environment(FOLDER)["UV_DEFAULT_INDEX"] == "https://example.net/simple"
