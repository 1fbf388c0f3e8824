"""Versions of resources: taken by content, put back exactly, and nothing followed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from opencrunch.resources import RACY_NS, Resources, TreeError, Version


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "resources"
    root.mkdir()
    return root


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    return Resources(tmp_path / "objects", limit=1 << 20)


def test_a_version_is_put_back_as_it_was(tree: Path, resources: Resources, tmp_path: Path) -> None:
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "model.bin").write_bytes(b"\0\1\2")
    (tree / "run.sh").write_text("#!")
    (tree / "run.sh").chmod(0o755)
    version = resources.take(tree).version
    again = tmp_path / "again"
    again.mkdir()
    resources.put(version, again)
    assert resources.take(again).version == version
    assert (again / "deep" / "model.bin").read_bytes() == b"\0\1\2"
    assert os.access(again / "run.sh", os.X_OK)
    assert (again / "deep" / "er").is_dir()


def test_a_version_survives_its_manifest(tree: Path, resources: Resources) -> None:
    (tree / "a").write_text("x")
    version = resources.take(tree).version
    assert Version.from_json(version.to_json()) == version
    assert Version.from_json(version.to_json()).digest == version.digest


def test_equal_content_has_an_equal_digest_whatever_the_times(tree: Path, resources: Resources) -> None:
    (tree / "a").write_text("x")
    first = resources.take(tree).version.digest
    os.utime(tree / "a", (1, 1))
    assert resources.take(tree).version.digest == first


def test_a_change_that_keeps_size_and_times_is_seen(tree: Path, resources: Resources) -> None:
    (tree / "a").write_text("x")
    os.utime(tree / "a", (1, 1))
    before = resources.take(tree)
    (tree / "a").write_text("y")
    os.utime(tree / "a", (1, 1))
    assert resources.take(tree, before).version != before.version


def test_an_unchanged_file_is_not_read_again(tree: Path, resources: Resources) -> None:
    (tree / "a").write_text("x")
    time.sleep(2 * RACY_NS / 1e9)
    before = resources.take(tree)
    (resources.objects / before.version.files["a"][0]).unlink()
    after = resources.take(tree, before)
    assert after.version == before.version
    assert not (resources.objects / before.version.files["a"][0]).exists()


def test_links_fifos_and_sockets_are_removed_and_never_followed(tree: Path, resources: Resources) -> None:
    secret = tree.parent / "secret"
    secret.write_text("canary")
    (tree / "link").symlink_to(secret)
    (tree / "directory").symlink_to(tree.parent, target_is_directory=True)
    os.mkfifo(tree / "fifo")
    version = resources.take(tree).version
    assert version.files == {}
    assert sorted(entry.name for entry in tree.iterdir()) == []
    assert secret.read_text() == "canary"


def test_resources_replaced_by_a_link_are_refused(tree: Path, resources: Resources) -> None:
    tree.rmdir()
    tree.symlink_to(tree.parent)
    with pytest.raises(TreeError, match="no directory"):
        resources.take(tree)


def test_more_than_the_limit_is_refused_also_when_sparse(tree: Path, resources: Resources) -> None:
    with open(tree / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TreeError, match="limit"):
        resources.take(tree)


def test_a_tree_too_deep_is_refused(tree: Path, resources: Resources) -> None:
    current = tree
    for _ in range(60):
        current = current / "d"
        current.mkdir()
    with pytest.raises(TreeError, match="deeper"):
        resources.take(tree)


def test_names_that_are_no_utf8_survive(tree: Path, resources: Resources, tmp_path: Path) -> None:
    name = os.fsdecode(b"bad-\xff")
    (tree / name).write_text("x")
    version = Version.from_json(resources.take(tree).version.to_json())
    again = tmp_path / "again"
    again.mkdir()
    resources.put(version, again)
    assert (again / name).read_text() == "x"


@pytest.mark.parametrize(
    ("names", "empty"),
    [([], True), ([(".gitkeep", "")], True), ([(".gitkeep", "x")], False), ([("model", "")], False)],
)
def test_empty_means_nothing_but_dot_files_of_length_zero(
    tree: Path, resources: Resources, names: list[tuple[str, str]], empty: bool
) -> None:
    for name, text in names:
        (tree / name).write_text(text)
    assert resources.take(tree).version.is_empty is empty
