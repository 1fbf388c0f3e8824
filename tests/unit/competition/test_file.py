"""competition.toml is read strictly: everything that is wrong is named at once, and nothing else escapes."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencrunch.competition.file import load
from opencrunch.competition.quantities import parse_size, parse_time
from opencrunch.competition.schema import GUARDS
from opencrunch.competition.toml import write_toml
from opencrunch.errors import CompetitionError

Report = Callable[..., list[str]]


def test_what_is_left_out_has_its_default(small: Any) -> None:
    competition = load(small.write())
    limits = competition.limits
    assert (limits.call_time, limits.run_time) == (3600.0, 15 * 3600.0)
    assert (limits.memory, limits.disk, limits.log) == (8 << 30, 4 << 30, 1 << 20)
    assert (limits.resources, limits.result, limits.code) == (2 << 30, 1 << 30, 5 * 10**9)
    assert limits.processes == 256 + 4 * (os.cpu_count() or 1)
    assert competition.train_frequency == 0
    assert competition.first_train == "if-empty"
    assert competition.python is None
    assert competition.gpu is False
    target = competition.columns.targets["rank"]
    assert (target.input, target.output) == ("rank", "rank")
    metric = competition.metrics[0]
    assert (metric.per, metric.reduce, metric.direction) == ("moon", "mean", "maximize")


def test_only_train_and_local_are_released_and_hidden_splits_demand_every_guard(small: Any) -> None:
    splits = load(small.write()).splits
    assert {name: split.hidden for name, split in splits.items()} == {
        "train": False, "local": False, "private": True
    }  # fmt: skip
    assert {name: split.visibility for name, split in splits.items()} == {
        "train": "all", "local": "all", "private": "status"
    }  # fmt: skip
    assert splits["local"].guards == ()
    assert splits["private"].guards == GUARDS


def test_what_is_written_counts(small: Any) -> None:
    small.replace("last = 11", 'last = 11\nvisibility = "scores"\nguards = ["network"]\ncontinues = "local"')
    small.replace("[[metrics]]", '[limits]\nmemory = "2 GiB"\ncall_time = "10 min"\nlog = 5000\n[[metrics]]')
    small.replace('"cross-sectional"', '"timeseries"')
    small.replace("[columns.targets.rank]", '[columns.targets.rank]\ninput = "i"\noutput = "o"')
    competition = load(small.write())
    private = competition.splits["private"]
    assert (private.visibility, private.guards, private.continues) == ("scores", ("network",), "local")
    assert (competition.limits.memory, competition.limits.call_time) == (2 << 30, 600.0)
    assert competition.limits.log == 5000
    assert competition.format == "cross-sectional"
    assert (competition.columns.targets["rank"].input, competition.columns.targets["rank"].output) == (
        "i", "o"
    )  # fmt: skip


def test_every_error_is_reported_at_once_with_file_key_value_and_what_was_expected(
    small: Any, problems: Report
) -> None:
    small.replace("embargo = 1", "embargoo = 1\ngpu = 3")
    small.replace("[[metrics]]", '[limits]\nmemory = "8 Gib"\n[[metrics]]')
    small.replace("first = 6", "first = 5")
    assert problems(load, small.write()) == [
        "competition.toml: gpu: 3: expected true or false",
        'competition.toml: limits.memory: "8 Gib": expected a size above 0: an integer of bytes, or a text '
        'such as "2 GiB" (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)',
        'competition.toml: embargoo: unknown key; did you mean "embargo"?',
        "competition.toml: splits.local.first: 5 lies in the split 'train', 0 to 5; expected splits that "
        "share no moon",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "small"', "", "name: is missing and must be there"),
        ('name = "small"', 'name = "A b"', 'name: "A b": expected up to 64 of'),
        ('"cross-sectional"', '"dag"', "format: \"dag\": expected 'cross-sectional' or 'timeseries'"),
        ("embargo = 1", "embargo = -1", "embargo: -1:"),
        ("embargo = 1", "embargo = true", "embargo: true: expected an integer"),
        ("embargo = 1", "python = 3.11", "python: 3.11: expected a text"),
        ("embargo = 1", 'python = "3.x"', 'python: "3.x": expected a version like "3.11"'),
        ('X = "X.parquet"', 'X = "../X.parquet"', 'data.X[0]: "../X.parquet": expected a path relative'),
        ('X = "X.parquet"', "X = 3", "data.X: 3: expected a list"),
        ("[columns.targets.rank]", "[columns.targets]", "columns.targets: {}: expected at least one"),
        (
            "[columns.targets.rank]",
            '[columns.targets.rank]\noutput = "week"',
            'output: "week" is the moon column',
        ),
        (
            "[columns.targets.rank]",
            '[columns.targets.rank]\n[columns.targets.other]\noutput = "rank"',
            "columns.targets.other.output: \"rank\" is the output of 'rank' too",
        ),
        (
            "[columns.targets.rank]",
            '[columns.features]\nd = ["week"]\n[columns.targets.rank]',
            "is the moon column",
        ),
        (
            "[columns.targets.rank]",
            "[columns.features]\nd = []\n[columns.targets.rank]",
            "expected at least one",
        ),
        ("[columns.targets.rank]", '[columns.targets."1 x"]', "expected a Python identifier"),
        ('id = "ticker"', 'id = "week"', 'columns.id: "week" is the moon column too'),
        ("[splits.train]", "[splits.trainn]", "splits.train: is missing"),
        ("last = 7", "last = 4", "splits.local.last: 4 is before first = 6"),
        ("last = 7", 'last = 7\ncontinues = "locl"', 'continues: no other split "locl"'),
        ("last = 7", 'last = 7\nguards = ["netwrk"]', "splits.local.guards"),
        ("last = 7", 'last = 7\nvisibility = "none"', "splits.local.visibility: \"none\": expected 'all'"),
        ("last = 7", "last = 7.0", "splits.local.last: 7.0: expected an integer"),
        ("[[metrics]]", "[limits]\nprocesses = 10\n[[metrics]]", "limits.processes: 10 is too few"),
        (
            "[[metrics]]",
            "[limits]\nmemori = 10\n[[metrics]]",
            'limits.memori: unknown key; did you mean "memory"?',
        ),
        ('function = "spearman"', 'function = "spearmn"', 'function: "spearmn": expected "file.py:function"'),
        ('function = "spearman"', 'function = "own.py:f"', 'function: "own.py" is not a file of'),
        ('function = "spearman"', 'function = "../x.py:f"', 'function: "../x.py" is not a file of'),
        ('target = "rank"', 'target = "rnk"', 'metrics[0].target: no target "rnk"; did you mean "rank"?'),
    ],
)
def test_a_broken_rule_is_named(small: Any, problems: Report, old: str, new: str, expected: str) -> None:
    found = problems(load, small.replace(old, new).write())
    assert len(found) == 1
    assert found[0].startswith("competition.toml: ")
    assert expected in found[0]


def test_splits_do_not_continue_each_other_in_a_circle(small: Any, problems: Report) -> None:
    small.replace("last = 7", 'last = 7\ncontinues = "private"')
    small.replace("last = 11", 'last = 11\ncontinues = "local"')
    assert all("in a circle" in problem for problem in problems(load, small.write()))


def test_ranges_that_only_touch_are_disjoint_and_one_within_another_is_not(
    small: Any, problems: Report
) -> None:
    assert load(small.replace("first = 9", "first = 8").write()).splits["private"].first == 8
    small.replace("last = 5", "last = 100")
    found = problems(load, small.write())
    assert [problem.split(": ")[1] for problem in found] == ["splits.local.first", "splits.private.first"]


def test_a_syntax_error_has_line_and_column(small: Any, problems: Report) -> None:
    found = problems(load, small.replace("embargo = 1", "embargo = ").write())
    assert "at line 5, column 11" in found[0]


def test_bytes_that_are_no_text_are_named_by_line(small: Any, problems: Report) -> None:
    path = small.write()
    (path / "competition.toml").write_bytes(b'name = "x"\ntitle = "\xff"\n')
    assert problems(load, path) == ["competition.toml: line 2 is not UTF-8 text, which TOML must be"]


def test_a_directory_without_a_file_is_named(tmp_path: Path, problems: Report) -> None:
    assert str(tmp_path) in problems(load, tmp_path)[0]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_nothing_but_a_competition_error_escapes_arbitrary_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "competition.toml").write_bytes(content)
    with pytest.raises(CompetitionError):
        load(tmp_path)


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SECTIONS = ["name", "format", "embargo", "data", "columns", "splits", "limits", "metrics", "first_train"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(section=st.sampled_from(SECTIONS), value=VALUES, below=st.booleans())
def test_nothing_but_a_competition_error_escapes_arbitrary_values(
    small: Any, section: str, value: Any, below: bool
) -> None:
    content = tomllib.loads(small.text)
    if below and isinstance(content.get(section), dict):
        content[section][next(iter(content[section]))] = value
    else:
        content[section] = value
    small.text = write_toml({"x": 0} | content)
    small.path.mkdir(exist_ok=True)
    (small.path / "competition.toml").write_text(small.text, encoding="utf-8")
    small.__init__(small.path)  # the fixture is shared by the examples
    with pytest.raises(CompetitionError):
        load(small.path)


@pytest.mark.parametrize("nested", ["[" * 5000 + "]" * 5000, "0x" + "f" * 5000, "9" * 5000])
def test_values_that_are_too_deep_or_too_long_are_refused(small: Any, nested: str) -> None:
    with pytest.raises(CompetitionError):
        load(small.replace("embargo = 1", f"embargo = {nested}").write())


@pytest.mark.parametrize(
    ("written", "size"),
    [("2 GiB", 2 << 30), ("1.5 kB", 1500), ("10MB", 10**7), (7, 7)],
)
def test_sizes_are_read(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "seconds"), [("90 s", 90.0), ("1.5 min", 90.0), ("15 h", 54000.0), (2, 2.0), (0.5, 0.5)]
)
def test_times_are_read(written: object, seconds: float) -> None:
    assert parse_time(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "2", "2 gb", "-1 GB", "1e3 B", 0, -1, True, 1.5, None, [], "0 GB", 1 << 70]
)
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(written)


@pytest.mark.parametrize(
    "written", ["", "2", "2 hours", 0, -1, True, None, float("nan"), float("inf"), "0 s"]
)
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        parse_time(written)


def test_names_are_taken_before_patterns_and_groups_keep_their_order(small: Any) -> None:
    features = '[columns.features]\nmain = ["b*", "a"]\nodd = ["[x]", "*"]\n[columns.targets.rank]'
    columns = load(small.replace("[columns.targets.rank]", features).write()).columns
    names = ["week", "a", "b2", "ticker", "b1", "[x]", "x"]
    assert columns.resolve(names) == {"main": ("b2", "b1", "a"), "odd": ("[x]", "a", "b2", "b1", "x")}


BEARING = [
    ("embargo = 1", "embargo = 2"),
    ("embargo = 1", "embargo = 1\ntrain_frequency = 3"),
    ("embargo = 1", 'embargo = 1\nfirst_train = "always"'),
    ("embargo = 1", 'embargo = 1\npython = "3.11"'),
    ("embargo = 1", "embargo = 1\ngpu = true"),
    ("last = 11", "last = 12"),
    ('moon = "week"', 'moon = "month"'),
    ("[columns.targets.rank]", '[columns.targets.rank]\noutput = "o"'),
    ("[columns.targets.rank]", '[columns.features]\nx = ["*"]\n[columns.targets.rank]'),
    ("[[metrics]]", '[limits]\nmemory = "2 GiB"\n[[metrics]]'),
]
NOT_BEARING = [
    ('title = "A small one"', 'title = "Another"'),
    ('function = "spearman"', 'function = "pearson"'),
    ('name = "spearman"', 'name = "other"'),
    ("last = 11", 'last = 11\nvisibility = "scores"'),
    ("last = 11", "last = 11\nguards = []"),
    ('"cross-sectional"', '"timeseries"'),
]


@pytest.mark.parametrize(("old", "new"), BEARING)
def test_what_bears_on_execution_changes_its_digest(small: Any, old: str, new: str) -> None:
    before = load(small.write())
    after = load(small.replace(old, new).write())
    assert before.execution_digest() != after.execution_digest()
    assert before.digest() != after.digest()


@pytest.mark.parametrize(("old", "new"), NOT_BEARING)
def test_what_does_not_bear_on_execution_leaves_its_digest(small: Any, old: str, new: str) -> None:
    before = load(small.write())
    after = load(small.replace(old, new).write())
    assert before.execution_digest() == after.execution_digest()
    assert before.digest() != after.digest()


def test_the_order_of_targets_and_groups_bears_on_execution(small: Any) -> None:
    two = '[columns.features]\na = ["a"]\nb = ["b"]\n[columns.targets.rank]\n[columns.targets.other]'
    other = '[columns.features]\nb = ["b"]\na = ["a"]\n[columns.targets.rank]\n[columns.targets.other]'
    third = '[columns.features]\na = ["a"]\nb = ["b"]\n[columns.targets.other]\n[columns.targets.rank]'
    text, digests = small.text, []
    for replacement in (two, other, third):
        small.text = text
        digests.append(load(small.replace("[columns.targets.rank]", replacement).write()).execution_digest())
    assert len(set(digests)) == 3


def test_an_own_metric_is_part_of_the_digest(small: Any) -> None:
    path = small.replace('function = "spearman"', 'function = "own.py:f"').write()
    (path / "own.py").write_text("def f(): return 1.0")
    before = load(path).digest()
    (path / "own.py").write_text("def f(): return 2.0")
    assert load(path).digest() != before
    assert load(path).metrics[0].direction == "maximize"
