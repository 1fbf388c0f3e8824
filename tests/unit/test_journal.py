"""The journal: a key is there whole or not at all, and belongs to one run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from opencrunch.errors import PlatformError, UsageError
from opencrunch.journal import Entry, Journal
from opencrunch.resources import Version

START = Version(files={"a": ("d" * 64, 1, 0o644)})


def entry(key: int) -> Entry:
    return Entry(
        key=key,
        prediction=np.array([[key, 1.5], [float(key) / 3, -0.0]]),
        resources_before=START.name,
        resources_after=Version().name,
        calls=[{"function": "infer", "seconds": 0.5}],
    )


Opener = Callable[[], Journal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Give a way to open the same journal, again and again; all are closed in the end."""
    with ExitStack() as stack:

        def open_it() -> Journal:
            journal = Journal(tmp_path / "journal.db")
            stack.callback(journal.close)
            return journal

        yield open_it


def test_what_was_added_is_there_when_it_is_opened_again(opened: Opener) -> None:
    journal = opened()
    journal.identify({"submission": "abc", "data": {"X": "1"}})
    journal.add(entry(8), START, Version())
    journal.add(entry(7), START, Version())
    journal.close()
    again = opened()
    again.identify({"submission": "abc", "data": {"X": "1"}})
    found = list(again.entries())
    assert [item.key for item in found] == [7, 8]
    assert found[1].prediction.tobytes() == entry(8).prediction.tobytes()
    assert found[1].calls == [{"function": "infer", "seconds": 0.5}]
    assert again.version(START.name) == START


def test_another_run_is_refused_naming_what_differs(opened: Opener) -> None:
    opened().identify({"submission": "abc", "split": "local"})
    with pytest.raises(UsageError, match="another run: its split was 'local' and is now 'public'"):
        opened().identify({"submission": "abc", "split": "public"})
    with pytest.raises(UsageError, match="another run: its split was 'local' and is now 'public'"):
        opened().refuse_another({"split": "public"})


def test_a_journal_of_another_schema_is_refused(opened: Opener) -> None:
    journal = opened()
    journal.identify({"a": 1})
    journal.set("schema_version", 99)
    with pytest.raises(UsageError, match="schema 99"):
        journal.identify({"a": 1})


def test_a_file_that_is_no_journal_is_the_platforms_error(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database" * 100)
    with pytest.raises(PlatformError, match="cannot be read"):
        Journal(tmp_path / "journal.db")


def test_a_key_cannot_be_written_twice(opened: Opener) -> None:
    journal = opened()
    journal.add(entry(7), START)
    with pytest.raises(Exception, match="UNIQUE"):
        journal.add(entry(7), START)
    assert len(list(journal.entries())) == 1


def test_a_kill_leaves_whole_keys_only(tmp_path: Path) -> None:
    program = f"""
import sys, numpy as np
from opencrunch.journal import Entry, Journal
from opencrunch.resources import Version
journal = Journal({str(tmp_path / "journal.db")!r})
for key in range(100_000):
    values = np.full((500, 2), float(key))
    entry = Entry(key=key, prediction=values, resources_before="", resources_after="", calls=[])
    journal.add(entry, Version())
    print(key, flush=True)
"""
    for _ in range(3):
        (tmp_path / "journal.db").unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            seen = -1
            for line in writer.stdout:
                seen = int(line)
                if seen >= 20:
                    break
            os.kill(writer.pid, signal.SIGKILL)
        with closing(Journal(tmp_path / "journal.db")) as journal:
            found = list(journal.entries())
        assert [item.key for item in found] == list(range(len(found)))
        assert len(found) > seen
        assert all((item.prediction == item.key).all() for item in found)
        for leftover in tmp_path.glob("journal.db-*"):
            leftover.unlink()
