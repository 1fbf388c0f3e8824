"""`crunch competition`: what is printed and the exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opencrunch.cli import main


@pytest.fixture
def crunch(capsys: pytest.CaptureFixture[str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENCRUNCH_CACHE", str(cache))

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["competition", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


def test_check_says_what_is_there(small: Any, crunch: Any) -> None:
    status, out, _ = crunch("check", small.write())
    assert status == 0
    assert out.splitlines() == [
        "small: the file and the data keep all rules",
        "  train: moons 0 to 5, 6 with 30 rows, released",
        "  local: moons 6 to 7, 2 with 10 rows, released",
        "  private: moons 9 to 11, 3 with 15 rows, hidden",
    ]


def test_check_reports_problems_of_the_data_and_of_metrics_together(small: Any, crunch: Any) -> None:
    small.replace('function = "spearman"', 'function = "own.py:f"')
    small.y["rank"] = float("inf")
    path = small.write()
    (path / "own.py").write_text("import nothing_of_that_name")
    status, out, err = crunch("check", path)
    assert (status, out) == (2, "")
    assert "60 infinite value(s)" in err
    assert "metrics[0].function" in err
    assert "nothing_of_that_name" in err


def test_problems_are_json_too(small: Any, crunch: Any) -> None:
    status, out, _ = crunch("check", small.replace("embargo", "embrgo").write(), "--json")
    assert status == 2
    assert json.loads(out) == {
        "valid": False,
        "problems": [
            {
                "file": "competition.toml",
                "key": "embrgo",
                "message": 'unknown key; did you mean "embargo"?',
            }
        ],
    }


def test_build_makes_store_and_release_once(small: Any, crunch: Any, cache: Path) -> None:
    path = small.write()
    status, out, _ = crunch("build", path, "--json")
    first = json.loads(out)
    assert status == 0
    assert Path(first["release"]) == path / "release"
    assert Path(first["store"]["path"]).parent == cache / "stores"
    assert (first["store"]["moons"], first["store"]["rows"]) == (12, 60)
    assert (path / "release" / "competition.toml").is_file()
    assert json.loads(crunch("build", path, "--json")[1]) == first
    assert crunch("check", path / "release")[0] == 0


def test_build_refuses_what_check_refuses(small: Any, crunch: Any, tmp_path: Path) -> None:
    small.y["rank"] = float("inf")
    status, _, err = crunch("build", small.write(), "--out", tmp_path / "out")
    assert status == 2
    assert "infinite" in err
    assert not (tmp_path / "out").exists()
