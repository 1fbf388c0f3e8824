"""How runs fail: each cause told apart, with its key and what was done kept."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import psutil
import pytest
from tests.acceptance.conftest import Arena, MakeArena, infer

from opencrunch.errors import DependencyError, UsageError
from opencrunch.submission.files import SubmissionError

RECORD_SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "record.json").read_text())
EVENT_SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "event.json").read_text())


def failed(
    record: dict[str, Any], cause: str, *, key: int | None = 6, owner: str = "participant"
) -> dict[str, Any]:
    jsonschema.validate(record, RECORD_SCHEMA)
    assert record["status"] == "failed"
    failure: dict[str, Any] = record["failure"]
    assert (failure["owner"], failure["cause"], failure["key"]) == (owner, cause, key), failure
    return failure


FORK_BOMB = """
    while True:
        os.fork()
"""
DOUBLE_FORK_BOMB = """
    while True:
        if os.fork() == 0:
            os.setsid()
"""
MEMORY_OF_CHILDREN = """
    for _ in range(40):
        if os.fork() == 0:
            held = bytearray(os.urandom(1 << 20) * 50)
            time.sleep(30)
    time.sleep(30)
"""
FORGED = """
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\\\\0\\\\0\\\\0\\\\2{}" * 100)
        except OSError:
            pass
    os._exit(0)
"""

IGNORES_SIGNALS = """
    import signal
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_IGN)
    while True:
        pass
"""

FAILING = {
    "an exception": (infer("raise ValueError('wrong')"), "exception", "ValueError: wrong"),
    "exit(0)": (infer("exit(0)"), "exit", "exit(0)"),
    "os._exit(0)": (infer("os._exit(0)"), "exit", "status 0"),
    "a crash": (infer("import ctypes; ctypes.string_at(0)"), "killed", "SIGSEGV"),
    "a signal to itself": (infer("os.kill(os.getpid(), 9)"), "killed", "SIGKILL"),
    "memory": (infer("held = bytearray(10 << 30)"), "out-of-memory", "memory"),
    "memory that is touched": (
        infer("held = [bytearray(os.urandom(1 << 20) * 64) for _ in range(160)]"),
        "out-of-memory",
        "memory",
    ),
    "memory of many children": (infer(MEMORY_OF_CHILDREN), "out-of-memory", "memory"),
    "a fork bomb": (infer(FORK_BOMB), "too-many-processes", "processes"),
    "a fork bomb of sessions": (infer(DOUBLE_FORK_BOMB), "too-many-processes", "processes"),
    "a full disk": (infer("open('big', 'wb').write(bytes(300 << 20))"), "out-of-disk", "No space left"),
    "None": (infer("return None"), "bad-result", "it is None"),
    "a list": (infer("return [1]"), "bad-result", "it is a list"),
    "a dropped id": (infer("X_test = X_test.iloc[1:]"), "bad-result", "1 missing id 'id-000'"),
    "a repeated id": (
        infer("X_test = X_test.iloc[[0, *range(20)]]"),
        "bad-result",
        "1 duplicate id 'id-000'",
    ),
    "an unknown id": (infer("X_test = X_test.assign(id='new')"), "bad-result", "1 extra id 'new'"),
    "NaN": (infer("", "np.nan"), "bad-result", "holds NaN in 20 of 20 rows"),
    "infinity": (infer("", "np.inf"), "bad-result", "infinite values"),
    "text": (infer("", "'high'"), "bad-result", "is not numeric"),
    "a wrong moon": (infer("moon = 99"), "bad-result", "must hold 6 and holds '99' in 20 rows"),
    "an extra column": (
        infer("return X_test.assign(first=0.0, guess=0.0)"),
        "bad-result",
        "extra columns 'f0'",
    ),
    "a missing column": (
        infer("return X_test[['id', 'moon']].assign(first=0.0)"),
        "bad-result",
        "missing column 'guess'",
    ),
    "a billion rows": (
        infer("return pd.DataFrame(np.broadcast_to(0.0, (1000000000, 1)), copy=False)"),
        "bad-result",
        "1,000,000,000 rows",
    ),
    "a million columns": (
        infer("return pd.DataFrame(np.zeros((1, 1000000)))"),
        "bad-result",
        "1,000,000 columns",
    ),
    "a forged message": (infer(FORGED), "protocol", "protocol"),
    "no infer": (
        "def train(): pass\ndef infr(): pass",
        "missing-function",
        "functions that are there: infr, train",
    ),
    "infer that is no function": (
        "def train(): pass\ninfer = 3",
        "missing-function",
        "is a int, not a function",
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_call_is_told_apart_by_cause(arena: Arena, name: str) -> None:
    source, cause, text = FAILING[name]
    failure = failed(arena.run(source), cause)
    assert failure["function"] == "infer"
    assert text in failure["message"], failure["message"]
    assert not (arena.out / "prediction.parquet").exists()
    for line in (arena.out / "events.jsonl").read_text().splitlines():
        jsonschema.validate(json.loads(line), EVENT_SCHEMA)


IMPORTS = {
    "a syntax error": ("def infer(:\n", "exception", "SyntaxError"),
    "a missing package": ("import not_there_at_all\n", "exception", "No module named 'not_there_at_all'"),
    "an exception": ("1 / 0\n", "exception", "ZeroDivisionError"),
    "an exit": ("import os; os._exit(0)\n", "exit", "the import of the submission"),
    "a crash": ("import ctypes; ctypes.string_at(0)\n", "killed", "SIGSEGV"),
    "memory": ("held = bytearray(10 << 30)\n", "out-of-memory", "memory"),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_a_failing_import_is_the_participants(arena: Arena, name: str) -> None:
    source, cause, text = IMPORTS[name]
    failure = failed(arena.run(source), cause, key=None)
    assert failure["function"] is None
    assert text in failure["message"]


def test_a_late_failure_keeps_what_was_done(arena: Arena) -> None:
    record = arena.run(infer("if moon == 8: os._exit(0)", "float(moon)"))
    failed(record, "exit", key=8)
    assert record["progress"] == {"done": 2, "total": 3}
    partial = pd.read_parquet(arena.out / "prediction.partial.parquet")
    assert partial.groupby("moon")["first"].first().to_dict() == {6: 6.0, 7: 7.0}
    assert record["prediction"] == str(arena.out / "prediction.partial.parquet")


def test_a_failed_call_leaves_the_resources_before(arena: Arena) -> None:
    failed(
        arena.run(infer("open(f'resources/{moon}', 'w').close()\nif moon == 7: raise ValueError")),
        "exception",
        key=7,
    )
    assert [path.name for path in (arena.out / "resources").iterdir()] == ["6"]


def test_a_traceback_shows_the_participants_own_files_first(arena: Arena) -> None:
    failure = failed(arena.run(infer("X_test['nothing']")), "exception")
    last = failure["traceback"].split("\n\n")[-1]
    own, libraries = last.index("main.py, line"), last.index("in libraries")
    assert own < libraries
    assert "runner" not in failure["traceback"]
    assert last.endswith("KeyError: 'nothing'")


@pytest.mark.parametrize(
    "body",
    ["time.sleep(60)", "while True: pass", IGNORES_SIGNALS],
)
def test_an_endless_call_ends_at_its_limit(make_arena: MakeArena, body: str) -> None:
    arena = make_arena(limits={"call_time": '"2 s"'})
    started = time.monotonic()
    failed(arena.run(infer(body)), "out-of-time")
    assert time.monotonic() - started < 2 + 1 + 4  # the call, its grace, everything else of a run


def test_a_run_ends_at_its_limit_and_says_how_far_it_came(make_arena: MakeArena) -> None:
    arena = make_arena(limits={"run_time": '"3 s"'})
    record = arena.run(infer("time.sleep(1.2)"))
    assert record["failure"]["cause"] == "out-of-time"
    assert 0 < record["progress"]["done"] < 3


def test_a_child_that_outlives_its_call_is_gone(arena: Arena) -> None:
    body = """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                open("resources/alive", "w").write(str(os.getpid()))
                time.sleep(0.3)
                while True:
                    open("resources/alive", "a").write("x")
            os._exit(0)
        while not os.path.exists("resources/alive"): time.sleep(0.001)
    """
    record = arena.run(infer(body), determinism=False)
    assert record["status"] == "succeeded"
    assert "x" not in (arena.out / "resources" / "alive").read_text()


def test_resources_over_their_limit_fail_the_run(make_arena: MakeArena) -> None:
    arena = make_arena(limits={"resources": '"1 MiB"'})
    failure = failed(arena.run(infer("open('resources/big', 'wb').write(bytes(2 << 20))")), "out-of-disk")
    assert "resources hold more than the limit of 1,048,576 bytes" in failure["message"]


def test_many_files_in_tmp_are_cleared_or_cost_a_new_sandbox(arena: Arena) -> None:
    body = """
        assert not os.path.exists("/tmp/deep")
        deep = "/tmp/deep"
        for _ in range(60):
            os.mkdir(deep)
            deep += "/d"
        for n in range(3000):
            open(f"/tmp/{n}", "w").close()
    """
    assert arena.run(infer(body))["status"] == "succeeded"


def test_a_predicted_frame_replaced_under_the_runner_is_still_checked(arena: Arena) -> None:
    before = """
        import json
        os.fork = lambda: 0
        json.dumps = lambda *a, **k: "{}"
        pd.isna = None
    """
    record = arena.run(infer("", before=before))
    assert record["status"] == "failed"
    assert record["failure"]["owner"] == "participant"


def test_hidden_data_are_refused_without_their_guards(arena: Arena) -> None:
    with pytest.raises(UsageError, match="demands guards"):
        arena.run(infer(), split="public", sandbox="process")


def test_public_data_run_without_guards_with_a_warning(arena: Arena) -> None:
    record = arena.run(infer(), sandbox="process")
    assert record["status"] == "succeeded"
    assert record["sandbox"]["adapter"] == "process"


def test_usage_errors_come_before_anything_is_written(arena: Arena) -> None:
    with pytest.raises(UsageError, match="there are: local, public, private"):
        arena.run(infer(), split="locl")
    with pytest.raises(SubmissionError, match=r"no main\.py"):
        arena.run(arena.competition)
    with pytest.raises(UsageError, match="gpu = false"):
        arena.run(infer(), gpu=True)
    assert not arena.out.exists()


def test_requirements_that_cannot_be_taken_are_the_participants(arena: Arena) -> None:
    submission = arena.write(
        infer(), {"requirements.txt": "numpy\ngit+https://example.invalid/x\n--index-url x\n"}
    )
    record = arena.run(submission)
    failure = record["failure"]
    assert (failure["owner"], failure["cause"]) == (DependencyError.owner, "dependency")
    assert "git+https" in failure["message"]


def test_an_out_directory_in_use_or_not_empty_is_refused(arena: Arena) -> None:
    arena.run(infer(), determinism=False)
    out = arena.out
    with pytest.raises(UsageError, match="is not empty"):
        arena.run(infer(), out=out)
    with pytest.raises(UsageError, match="another run: its submission was"):
        arena.run(infer("pass"), out=out, resume=True)


def test_a_run_leaves_no_process_and_no_directory(arena: Arena) -> None:
    arena.run(infer("os.fork() or time.sleep(30)"), determinism=False)
    own = f"opencrunch-release-{os.getpid()}-"
    assert [name for name in os.listdir("/dev/shm") if name.startswith(own)] == []
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    assert children == []
