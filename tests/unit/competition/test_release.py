"""The release holds what participants may know, exactly, and nothing of what is hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from opencrunch.competition.build import prepare, release
from opencrunch.competition.file import load
from opencrunch.errors import OpenCrunchError, PlatformError, UsageError

NAMES = {
    "X_train.parquet", "y_train.parquet", "X_test.parquet", "y_test.parquet", "example_prediction.parquet",
    "competition.toml", "release.json",
}  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "release"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_it_has_the_rows_of_train_and_local_with_their_dtypes(small: Any, cache: Path, out: Path) -> None:
    release(load(small.write()), out, cache)
    assert {path.name for path in out.iterdir()} == NAMES
    expected = pd.read_parquet(small.path / "X.parquet").sort_values("week", kind="stable")
    for name, first, last in (("train", 0, 5), ("test", 6, 7)):
        frame = pd.read_parquet(out / f"X_{name}.parquet")
        rows = expected[expected["week"].between(first, last)].reset_index(drop=True)
        pd.testing.assert_frame_equal(frame, rows)
        y = pd.read_parquet(out / f"y_{name}.parquet")
        assert (y["ticker"] == frame["ticker"]).all()
        assert y["week"].between(first, last).all()
        truth = small.y.set_index(["week", "ticker"])["rank"]
        assert (y["rank"].to_numpy() == truth.loc[list(zip(y["week"], y["ticker"], strict=True))]).all()


def test_the_example_prediction_has_a_number_for_every_local_row(small: Any, cache: Path, out: Path) -> None:
    small.replace("[columns.targets.rank]", '[columns.targets.rank]\noutput = "guess"')
    release(load(small.write()), out, cache)
    example = pd.read_parquet(out / "example_prediction.parquet")
    assert list(example.columns) == ["week", "ticker", "guess"]
    assert len(example) == 10
    assert (example["guess"] == 0.0).all()


def test_no_file_has_a_canary_of_hidden_rows(small: Any, cache: Path, out: Path) -> None:
    """Hidden are the split `private` and the rows beyond all splits, here moon 8."""
    hidden = small.X["week"] >= 8
    marks = "CANARY" + small.X.index.astype(str)
    small.X["text"] = small.X["text"].where(~hidden, marks)
    small.X["sector"] = pd.Categorical(small.X["sector"].astype(object).where(~hidden, marks))
    small.X["a"] = small.X["a"].where(~hidden, 123456.75)
    small.X["small"] = small.X["small"].where(~hidden, 31337).astype("int16")
    small.y["rank"] = small.y["rank"].where(small.y["week"] < 8, 987654.125)
    small.replace("last = 7", 'last = 7\ncontinues = "private"')
    small.replace("[splits.private]", "[splits.canary_split]").replace('"private"', '"canary_split"')
    release(load(small.write()), out, cache)
    for name, content in contents(out).items():
        assert b"canary" not in content.lower(), name
        if name.endswith(".parquet"):
            frame = pd.read_parquet(out / name)
            assert frame["week"].max() < 8
            text = frame.to_csv()
            for canary in ("CANARY", "123456.75", "31337", "987654.125"):
                assert canary not in text
            for column in frame.select_dtypes("category"):
                assert not any("CANARY" in str(value) for value in frame[column].cat.categories)


def test_building_again_gives_the_same_bytes_and_touches_nothing(small: Any, cache: Path, out: Path) -> None:
    competition = load(small.write())
    release(competition, out, cache)
    before, place = contents(out), out.stat().st_ino
    release(competition, out, cache)
    assert out.stat().st_ino == place
    release(competition, out.with_name("other"), cache)
    assert contents(out) == before == contents(out.with_name("other"))
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".release")]


def test_a_changed_competition_replaces_the_release(small: Any, cache: Path, out: Path) -> None:
    release(load(small.write()), out, cache)
    release(load(small.replace("last = 5", "last = 4").write()), out, cache)
    assert pd.read_parquet(out / "X_train.parquet")["week"].max() == 4
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".release")]


def test_a_failed_build_leaves_the_old_release(
    small: Any, cache: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(load(small.write()), out, cache)
    before = contents(out)

    def broken(*arguments: Any) -> Iterator[Any]:
        yield "X_train", small.X
        raise OSError("no space left")

    monkeypatch.setattr("opencrunch.competition.release._frames", broken)
    with pytest.raises(PlatformError, match="no space"):
        release(load(small.replace("last = 5", "last = 4").write()), out, cache)
    assert contents(out) == before
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".release")]


def test_the_release_is_a_competition_with_the_same_rows(small: Any, cache: Path, out: Path) -> None:
    small.replace("[[metrics]]", '[limits]\nmemory = "2 GiB"\n\n[[metrics]]')
    small.replace("[columns.targets.rank]", '[columns.features]\n"x" = ["a", "s*"]\n\n[columns.targets.rank]')
    full = load(small.write())
    release(full, out, cache)
    released = load(out)
    assert list(released.splits) == ["train", "local"]
    assert released.columns == full.columns
    assert (released.limits, released.metrics, released.embargo) == (full.limits, full.metrics, full.embargo)
    theirs, ours = prepare(released, cache), prepare(full, cache)
    for moon in (0, 5, 7):
        assert theirs.digest_until("y", moon) == ours.digest_until("y", moon)
    pd.testing.assert_frame_equal(
        theirs.frame("X", slice(0, 40), theirs.column_names("X")),
        ours.frame("X", slice(0, 40), ours.column_names("X")),
    )


def test_the_files_of_own_metrics_are_released(small: Any, cache: Path, out: Path) -> None:
    path = small.replace('function = "spearman"', 'function = "own/metric.py:f"').write()
    (path / "own").mkdir()
    (path / "own" / "metric.py").write_text("def f(prediction, truth):\n    return 0.0\n")
    (path / "own" / "secret.txt").write_text("secret")
    release(load(path), out, cache)
    assert load(out).metrics[0].function == "own/metric.py:f"
    assert not (out / "own" / "secret.txt").exists()
    listed = json.loads((out / "release.json").read_bytes())["files"]
    assert "own/metric.py" in listed


def test_a_directory_with_other_files_is_left_alone(small: Any, cache: Path, out: Path) -> None:
    competition = load(small.write())
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="is there and no release"):
        release(competition, out, cache)
    (out / "thesis.txt").unlink()
    release(competition, out, cache)
    (out / "main.py").write_text("precious")
    with pytest.raises(UsageError, match=r'no part of the release: "main\.py"'):
        release(competition, out, cache)
    assert (out / "main.py").read_text() == "precious"


def test_the_competition_itself_is_never_replaced(small: Any, cache: Path) -> None:
    competition = load(small.write())
    for place in (small.path, small.path.parent):
        with pytest.raises(OpenCrunchError, match="holds the competition itself"):
            release(competition, place, cache)
    assert (small.path / "competition.toml").is_file()
