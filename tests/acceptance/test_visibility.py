"""Who sees what: nothing of hidden data is in any file of the participant's tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.acceptance.conftest import Arena, infer
from tests.competitions import CANARY

# The canary as text, as float64, float32 and whatever starts with its first digits.
PRINTS = """
    print(X_test, float(X_test["f0"].iloc[0]))
    open("resources/X", "wb").write(X_test["f0"].to_numpy().astype("float64").tobytes())
"""
RAISES = """
    text = str(int(X_test["f0"].iloc[0]))
    raise type("Leak" + text, (ValueError,), {})(text)
"""
NAMED = """
    text = "f" + str(int(X_test["f0"].iloc[0]))
    scope = {}
    exec(compile("def " + text + "(): raise ValueError(1)", text, "exec"), scope)
    scope[text]()
"""
EXITS = "os._exit(int(X_test['f0'].iloc[0]) % 200 + 1)"


def leaks(directory: Path) -> list[str]:
    found = []
    for path in directory.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        text = path.name.encode() + data
        if b"98765" in text or int(CANARY).to_bytes(4, "little") in data:
            found.append(path.name)
    return found


@pytest.mark.parametrize("body", [PRINTS, RAISES, NAMED, EXITS])
def test_no_canary_is_in_the_participants_tree(arena: Arena, body: str) -> None:
    arena.run(infer(body, "X_test['f0'].to_numpy()"), split="public")
    assert leaks(arena.out / "participant") == []
    assert (arena.out / "participant" / "record.json").exists()


def test_the_organiser_sees_what_the_participant_does_not(arena: Arena) -> None:
    record = arena.run(infer(PRINTS, "X_test['f0'].to_numpy()"), split="public")
    assert record["status"] == "succeeded"
    assert {"log.txt", "prediction.parquet"} <= {path.name for path in arena.out.iterdir()}
    assert "log.txt" in leaks(arena.out)


def test_a_participant_learns_type_file_and_line_of_a_failure_on_hidden_data(arena: Arena) -> None:
    arena.run(infer("canary = X_test['f0'].iloc[0]\nraise KeyError(canary)"), split="public")
    failure = json.loads((arena.out / "participant" / "record.json").read_text())["failure"]
    assert failure["cause"] == "exception"
    assert failure["message"].startswith("KeyError;")
    assert "main.py, line" in failure["traceback"]
    assert "in infer" in failure["traceback"]


def test_on_released_data_the_participant_sees_everything(arena: Arena) -> None:
    arena.run(infer("print('hello')"))
    names = {path.name for path in (arena.out / "participant").iterdir()}
    assert names == {"record.json", "log.txt", "events.jsonl", "prediction.parquet", "resources"}
    ours = (arena.out / "record.json").read_bytes()
    assert (arena.out / "participant" / "record.json").read_bytes() == ours


def test_scores_are_shown_where_the_split_says_so(arena: Arena) -> None:
    toml = arena.competition / "competition.toml"
    toml.write_text(
        toml.read_text().replace("first = 9, last = 10", 'first = 9, last = 10, visibility = "scores"')
    )
    arena.run(infer("", "X_test['f0'].to_numpy()"), split="public")
    shown = json.loads((arena.out / "participant" / "record.json").read_text())
    assert set(shown["scores"]["spearman"]) == {"value", "direction", "keys"}
    assert leaks(arena.out / "participant") == []
