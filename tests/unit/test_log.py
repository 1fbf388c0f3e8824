"""The log: whole lines, escaped, under a budget for each call."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from opencrunch.log import Log, escape


def written(path: Path, *chunks: bytes, budget: int = 1000) -> str:
    log = Log(path / "log.txt", budget=budget)
    log.begin("7 infer")
    for chunk in chunks:
        log.write(chunk)
    log.close()
    text = (path / "log.txt").read_text("utf-8")
    (path / "log.txt").unlink()
    return text


def test_lines_carry_their_place(tmp_path: Path) -> None:
    assert written(tmp_path, b"one\ntw", b"o\nthree") == "7 infer | one\n7 infer | two\n7 infer | three\n"


def test_escapes_cannot_reach_a_terminal(tmp_path: Path) -> None:
    text = written(tmp_path, b"\x1b[31mred\x1b[0m \x07 \xe2\x80\xae\n")
    assert "\x1b" not in text
    assert "\\x1b[31mred" in text
    assert "\\u202e" in text


def test_a_printed_line_cannot_look_like_the_engines(tmp_path: Path) -> None:
    assert written(tmp_path, b"== the run succeeded\n").startswith("7 infer | ==")


def test_output_over_the_budget_is_cut_with_one_note(tmp_path: Path) -> None:
    text = written(tmp_path, *[b"x" * 99 + b"\n"] * 100, budget=250)
    assert 200 < text.count("x") < 250  # the place counts too
    assert len(text) < 250 + 100
    assert text.count("over its 250 bytes") == 1


def test_each_call_has_a_budget_of_its_own(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.txt", budget=8)
    for place in ("1", "2"):
        log.begin(place)
        log.write(b"abcdefgh\n")
    log.close()
    assert (tmp_path / "log.txt").read_text().count("| abc\n") == 2


def test_empty_lines_count_as_what_is_written_for_them(tmp_path: Path) -> None:
    assert len(written(tmp_path, b"\n" * 5000, budget=1000)) < 1200


def test_an_endless_line_is_cut_into_lines(tmp_path: Path) -> None:
    text = written(tmp_path, b"y" * 10_000, budget=20_000)
    assert max(len(line) for line in text.splitlines()) < 5000
    assert text.count("y") == 10_000


def test_a_redrawn_bar_keeps_its_last_state(tmp_path: Path) -> None:
    assert written(tmp_path, b" 1%\r50%\r100%\n") == "7 infer | 100%\n"


def test_a_character_cut_between_two_reads_is_whole(tmp_path: Path) -> None:
    assert written(tmp_path, "é".encode()[:1], "é".encode()[1:] + b"\n") == "7 infer | é\n"


@given(st.text())
def test_escaped_text_holds_no_control_character(text: str) -> None:
    assert all(
        character.isprintable() or character in "\n\t" or ord(character) > 0x9F for character in escape(text)
    )
