"""Which files of a submission are taken, refused, and left."""

from __future__ import annotations

from pathlib import Path

import pytest

from opencrunch.errors import UsageError
from opencrunch.submission.files import Submission, SubmissionError, read_submission


def make(root: Path, *paths: str, **texts: str) -> Path:
    for path in ("main.py", *paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    for name, text in texts.items():
        (root / name).write_text(text)
    return root


def read(root: Path, *, code_limit: int = 10_000, resources_limit: int = 10_000) -> Submission:
    return read_submission(root, code_limit=code_limit, resources_limit=resources_limit)


def taken(root: Path) -> set[str]:
    return {file.path for file in read(root).code}


def test_code_is_taken_and_the_model_apart(tmp_path: Path) -> None:
    found = read(make(tmp_path, "lib/a.py", "resources/model.bin"))
    assert {file.path for file in found.code} == {"main.py", "lib/a.py"}
    assert {file.path for file in found.resources} == {"resources/model.bin"}


EXCLUDED = (
    *(".git/HEAD", ".crunch/token", ".crunchdao/token", ".config/a", "sample_data/a", "data/X.parquet"),
    *("prediction/p", "lib/a.pyc", "lib/__pycache__/a.pyc", ".ipynb_checkpoints/a", "lib/.env", ".venv/a"),
    *("venv/a", "lib/.DS_Store", "__MACOSX/a"),
)


@pytest.mark.parametrize("path", EXCLUDED)
def test_built_in_exclusions_are_left(tmp_path: Path, path: str) -> None:
    assert taken(make(tmp_path, path)) == {"main.py"}


def test_excluded_names_of_the_root_are_taken_below_it(tmp_path: Path) -> None:
    assert "lib/data/a.csv" in taken(make(tmp_path, "lib/data/a.csv"))


def test_gitignore_counts_and_a_nested_one_takes_back(tmp_path: Path) -> None:
    root = make(tmp_path, "a.log", "lib/b.log", "lib/keep.log", "build/c.py")
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    (root / "lib" / ".gitignore").write_text("!keep.log\n")
    assert taken(root) == {"main.py", ".gitignore", "lib/.gitignore", "lib/keep.log"}


def test_links_are_refused_by_name(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(SubmissionError, match=r"'passwd': a symbolic link"):
        read(root)


def test_names_that_differ_by_case_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"'a\.py': differs from 'A\.py' by case only"):
        read(make(tmp_path, "A.py", "a.py"))


def test_control_characters_in_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="control characters"):
        read(make(tmp_path, "a\nb.py"))


def test_too_much_code_names_the_largest_files(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "big.bin").write_bytes(bytes(500))
    with pytest.raises(SubmissionError, match=r"501 bytes, at most 100 .* big\.bin \(500 bytes\)"):
        read(root, code_limit=100)


def test_a_missing_directory_and_a_missing_main_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a directory"):
        read(tmp_path / "none")
    with pytest.raises(SubmissionError, match=r"has no main\.py"):
        read(tmp_path)


def test_the_digest_is_of_paths_modes_and_contents_not_times(tmp_path: Path) -> None:
    first = read(make(tmp_path / "a", "lib.py"))
    second = read(make(tmp_path / "b", "lib.py"))
    assert first.digest == second.digest
    (tmp_path / "b" / "lib.py").write_text("y")
    assert read(tmp_path / "b").digest != first.digest


def test_requirements_are_found_where_they_are(tmp_path: Path) -> None:
    assert read(make(tmp_path / "a")).requirements is None
    found = read(make(tmp_path / "b", "requirements.txt"))
    assert found.requirements == found.directory / "requirements.txt"
