"""The requirements file: what is accepted, and how everything else is refused by line."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from opencrunch.environment.requirements import (
    LARGEST_FILE,
    LONGEST_LINE,
    MOST_REQUIREMENTS,
    OWN,
    default_requirements,
    parse_requirements,
    read_requirements,
)
from opencrunch.errors import DependencyError


def lines(text: str) -> tuple[str, ...]:
    return parse_requirements(text.encode()).lines


def refusal(text: str) -> str:
    with pytest.raises(DependencyError) as caught:
        parse_requirements(text.encode())
    return caught.value.message


def test_names_are_normalised_and_the_order_does_not_matter() -> None:
    assert lines("Scikit_Learn >= 1.1\npandas==2.1.0\n") == lines("pandas == 2.1.0\nscikit.learn>=1.1")


def test_extras_markers_and_comments_are_understood() -> None:
    text = 'requests[socks] ~= 2.31 ; python_version >= "3.8"  # comment\n# all\n\nsix#no comment, no blank\n'
    with pytest.raises(DependencyError, match="line 4"):
        lines(text)
    assert lines(text.replace("six#no comment, no blank", "six # fine")) == (
        'requests[socks]~=2.31; python_version >= "3.8"',
        "six",
    )


def test_a_continued_line_is_one_requirement_named_by_its_first_line() -> None:
    assert lines("pandas \\\n  >=2.1,\\\r\n <3\n") == ("pandas<3,>=2.1",)
    assert "line 2:" in refusal("six\n-r \\\nother.txt\n")


def test_a_backslash_at_the_end_of_the_file_or_of_a_comment_joins_nothing() -> None:
    assert lines("six \\") == ("six",)
    assert lines("# note \\\nsix") == ("six",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_what_editors_and_shells_write_is_read(encoding: str, newline: str) -> None:
    content = newline.join(["six", "tomli==2.0", ""]).encode(encoding)
    assert parse_requirements(content).lines == ("six", "tomli==2.0")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("https://example.org/x-1.0-py3-none-any.whl", "address"),
        ("x @ https://example.org/x.whl", "address"),
        ("x@file:///tmp/x.whl", "address"),
        ("git+ssh://git@example.org/x.git", "address"),
        ("./x", "path"),
        ("/tmp/x-1.0-py3-none-any.whl", "path"),
        ("x-1.0-py3-none-any.whl", "path"),
        ("../x", "path"),
        ("folder/x", "path"),
        ("-r other.txt", "option"),
        ("-rother.txt", "option"),
        ("-c bounds.txt", "option"),
        ("-e .", "option"),
        ("--index-url https://example.org/simple", "option"),
        ("--extra-index-url=https://example.org/simple", "option"),
        ("--find-links wheels", "option"),
        ("--no-binary :all:", "option"),
        ("six==1.16 --hash=sha256:00", "option"),
        ('six --config-settings="a=b"', "option"),
        ("pandas = 2", "not a requirement"),
        ("two words", "not a requirement"),
        ("${NAME}", "not a requirement"),
        ("pand\u0430s", "not a requirement"),  # a Cyrillic letter
        ("six\x1b[31m", "control"),
        ("six\x00", "control"),
        ("a" * (LONGEST_LINE + 1), "characters"),
        ("six; " + "(" * (LONGEST_LINE - 10), "not a requirement"),
    ],
)
def test_a_line_that_is_not_a_name_and_a_version_is_refused(line: str, reason: str) -> None:
    message = refusal(f"numpy\n{line}\n")
    assert "requirements.txt, line 2" in message
    assert reason in message
    assert message.isprintable()


def test_every_refused_line_is_named_at_once() -> None:
    message = refusal("-e .\nsix\nx @ https://example.org/x.whl\n./y\n")
    assert all(f"line {number}:" in message for number in (1, 3, 4))
    assert "line 2:" not in message


def test_many_refused_lines_make_a_bounded_message() -> None:
    message = refusal("-e .\n" * 20_000)
    assert len(message) < 10_000
    assert "19950 more lines" in message


@pytest.mark.parametrize("name", ["crunch-cli", "Crunch_CLI==3.2", "crunch", "opencrunch[x]>=1"])
def test_the_platforms_own_packages_are_left_out_with_a_note(name: str) -> None:
    requirements = parse_requirements(f"six\n{name}\n".encode())
    assert requirements.lines == ("six",)
    (note,) = requirements.notes
    assert "line 2" in note


def test_a_file_without_requirements_is_not_the_default_set() -> None:
    assert parse_requirements(b"# nothing\n").lines == ()
    assert not parse_requirements(b"").default
    assert default_requirements().default


def test_sizes_are_bounded() -> None:
    with pytest.raises(DependencyError, match="larger than"):
        parse_requirements(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(DependencyError, match="at most"):
        parse_requirements("\n".join(f"p{i}" for i in range(MOST_REQUIREMENTS + 1)).encode())


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(DependencyError, match="byte 3"):
        parse_requirements(b"six\xff")


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "real").write_text("six")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("pipe", "link", "absent", "."):
        with pytest.raises(DependencyError):
            read_requirements(tmp_path / name)
    assert read_requirements(tmp_path / "real").lines == ("six",)


@given(st.from_regex(r"[A-Z0-9._-]{1,12}(==[0-9]{1,3}(\.[0-9]{1,4}){0,4})?", fullmatch=True))
def test_plain_pins_are_read_as_the_library_reads_them(line: str) -> None:
    expected: tuple[str, ...] = ()
    with contextlib.suppress(InvalidRequirement):
        requirement = Requirement(line)
        requirement.name = canonicalize_name(requirement.name)
        expected = () if requirement.name in OWN else (str(requirement),)
    found: tuple[str, ...] = ()
    with contextlib.suppress(DependencyError):
        found = lines(line)
    assert found == expected


pieces = st.sampled_from(
    ["six", "==1.0", ">=", ";", "python_version<'3'", "[a,b]", "#", "\\", "\n", "\r\n", " ", "-r", "@", "://"]
    + ["(", "\x00", "\ufeff", "\u2028", "'", '"', "===", "1.*", "crunch-cli", ",", "9" * 500]
)


@given(st.one_of(st.binary(max_size=300), st.lists(pieces, max_size=40).map(lambda p: "".join(p).encode())))
def test_any_content_is_either_requirements_or_an_error_with_an_owner(content: bytes) -> None:
    failure: DependencyError | None = None
    accepted: tuple[str, ...] = ()
    try:
        accepted = parse_requirements(content).lines
    except DependencyError as error:
        failure = error
    if failure is not None:
        assert all(line.isprintable() for line in failure.message.split("\n"))
    for line in accepted:
        assert Requirement(line).url is None
    assert parse_requirements("\n".join(accepted).encode()).lines == accepted
