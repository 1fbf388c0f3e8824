"""What a submission leaves behind on purpose: the engine goes on, and the fault is the participant's."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
import time
from pathlib import Path

import pandas as pd
import pytest
from tests.acceptance.conftest import Arena, MakeArena, infer

from opencrunch.errors import DependencyError
from opencrunch.submission.files import SubmissionError

LEFT = {
    "a file in the place of resources": "os.rmdir('resources'); open('resources', 'w')",
    "a link in the place of resources": "os.rmdir('resources'); os.symlink('/etc', 'resources')",
    "a dangling link in its place": "os.rmdir('resources'); os.symlink('/nowhere', 'resources')",
    "a directory without rights": "os.chmod('.', 0o500)",
    "no rights at all": "os.rmdir('resources'); os.chmod('.', 0)",
    "no template": "os.kill(os.getppid(), 9)",
    "a stopped template": "import signal; os.kill(os.getppid(), signal.SIGSTOP)",
    "a text that cannot be encoded": "raise ValueError('bad \\udcff name')",
    "a very long text": "raise ValueError('x' * (1 << 24))",
    "very long ids": "X_test = X_test.assign(id=['\U0001f600' * (1 << 20)] * 20)",
    "names that are no text": "os.mkdir(b'resources/\\xff'); open(b'resources/\\xff/\\xfe', 'w').close()",
    "a fork that hangs": "pass",
}


@pytest.mark.parametrize("name", LEFT)
def test_a_run_ends_with_a_record_and_no_fault_of_the_platform(make_arena: MakeArena, name: str) -> None:
    arena = make_arena(limits={"call_time": '"10 s"'})
    before = "os.register_at_fork(before=lambda: time.sleep(60))" if name == "a fork that hangs" else ""
    record = arena.run(infer(LEFT[name], before=before), determinism=False)
    assert (arena.out / "record.json").stat().st_size < 200_000
    if record["failure"] is not None:
        assert record["failure"]["owner"] == "participant", record["failure"]
        assert len(record["failure"]["message"]) < 9000


def test_removed_resources_are_empty_at_the_next_call(arena: Arena) -> None:
    body = "found = len(os.listdir('resources')); os.rmdir('resources') if not found else None"
    record = arena.run(infer(body, "float(found)"), determinism=False)
    assert record["failure"] is None
    assert set(arena.prediction()["first"]) == {0.0}


def test_a_file_opened_at_import_is_at_its_beginning_in_every_call(arena: Arena) -> None:
    source = infer("", "float(len(handle.read()))", before="handle = open('data.txt')")
    record = arena.run(arena.write(source, {"data.txt": "12345"}))
    assert record["process"]["mode"] == "fork"
    assert set(arena.prediction()["first"]) == {5.0}


def test_the_latest_checkpoint_by_time_is_the_same_in_the_replay(arena: Arena) -> None:
    body = """
        for number in range(4):
            path = f"resources/{(moon * 7 + number * 3) % 10}"
            open(path, "w").close()
            os.utime(path, ns=(10**9 * (moon + number), 10**9 * (moon + number)))
        latest = max(os.listdir("resources"), key=lambda name: os.path.getmtime("resources/" + name))
    """
    for seed in range(3):
        assert arena.run(infer(body, "float(latest)"), seed=seed)["deterministic"] is True


def test_a_crash_in_a_fresh_process_is_told_apart(arena: Arena) -> None:
    before = "import threading\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    record = arena.run(infer("import ctypes; ctypes.string_at(0)", before=before))
    assert record["process"]["mode"] == "fresh"
    assert (record["failure"]["cause"], record["failure"]["key"]) == ("killed", 6)


def test_a_failed_call_tells_what_was_used_of_each_limit(arena: Arena) -> None:
    details = arena.run(infer("raise ValueError"))["failure"]["details"]
    assert details["limits"]["memory"]["limit"] == 1 << 30
    assert 0 < details["limits"]["memory"]["used"] < 1 << 30
    assert details["limits"]["call_time"]["limit"] == 20
    assert details["inputs"]["X_test"]["rows"] == 20
    assert details["inputs"]["X_test"]["dtypes"]["f0"] == "<f4"


def test_the_time_of_a_run_counts_over_its_resumptions(make_arena: MakeArena) -> None:
    arena = make_arena(limits={"run_time": '"4 s"'})
    submission = arena.write(infer("time.sleep(1.5)"))
    assert arena.run(submission)["failure"]["cause"] == "out-of-time"
    assert arena.run(submission, out=arena.out, resume=True)["failure"]["cause"] == "out-of-time"


def test_a_run_that_just_fits_its_time_is_still_checked(make_arena: MakeArena) -> None:
    arena = make_arena(limits={"run_time": '"8 s"'})
    record = arena.run(infer("time.sleep(2)"))
    assert record["failure"] is None
    assert record["deterministic"] is True


def test_resuming_with_another_submission_leaves_the_finished_run_as_it_is(arena: Arena) -> None:
    arena.run(infer("", "float(moon)"), determinism=False)
    out = arena.out
    kept = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and "work" not in path.parts}
    other = arena.write(infer(), {"requirements.txt": "no-such-package-at-all==1\n"})
    with pytest.raises(Exception, match="another run: its submission was"):
        arena.run(other, out=out, resume=True)
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_resumed_run_whose_environment_fails_keeps_what_was_done(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = arena.write(infer("", "float(moon)"))
    arena.run(submission, determinism=False)
    prediction = (arena.out / "prediction.parquet").read_bytes()

    def unavailable(*_: object, **__: object) -> None:
        raise DependencyError("the index cannot be reached")

    monkeypatch.setattr("opencrunch.environment.ensure", unavailable)
    with pytest.raises(DependencyError):
        arena.run(submission, out=arena.out, resume=True)
    assert (arena.out / "prediction.parquet").read_bytes() == prediction


def test_a_run_killed_before_its_end_still_gets_its_resources(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = arena.write(infer("open('resources/model', 'w').write(str(moon))"))

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("opencrunch.run._Run._write_resources", killed)
        with pytest.raises(Killed):
            arena.run(submission, determinism=False)
    record = arena.run(submission, out=arena.out, resume=True, determinism=False)
    assert record["status"] == "succeeded"
    assert (arena.out / "resources" / "model").read_text() == "8"
    assert (arena.out / "participant" / "resources" / "model").read_text() == "8"


def test_a_success_after_an_interruption_leaves_no_partial_prediction(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = arena.write(infer("", "float(moon)"))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of the engine")

    with monkeypatch.context() as patched:
        patched.setattr("opencrunch.run.score", broken)
        record = arena.run(submission, determinism=False)
    assert (record["failure"]["owner"], record["failure"]["cause"]) == ("platform", "internal")
    assert (arena.out / "participant" / "prediction.partial.parquet").exists()
    assert arena.run(submission, out=arena.out, resume=True, determinism=False)["status"] == "succeeded"
    for tree in (arena.out, arena.out / "participant"):
        assert (tree / "prediction.parquet").exists()
        assert not (tree / "prediction.partial.parquet").exists()


def test_targets_that_are_not_resolved_reach_train_as_nan_and_are_left_out_of_scores(arena: Arena) -> None:
    path = arena.competition / "y.parquet"
    y = pd.read_parquet(path)
    y.loc[(y["moon"].isin([3, 7])) & (y["id"] < "id-005"), "first"] = float("nan")
    y.to_parquet(path)
    source = infer().replace(
        "def train(): pass", "def train(y_train): assert y_train['first'].isna().sum() == 5"
    )
    record = arena.run(source)
    assert record["failure"] is None
    assert record["scores"]["spearman"]["rows_without_target"] == 5
    assert len(arena.prediction()) == 60


def test_values_that_depend_on_the_clock_are_not_deterministic(arena: Arena) -> None:
    assert arena.run(infer("", "time.time()"))["deterministic"] is False


def test_a_damaged_store_of_resources_is_the_platforms_fault(arena: Arena) -> None:
    submission = arena.write(infer("open('resources/model', 'w').write('x')\nif moon == 8: raise ValueError"))
    arena.run(submission, determinism=False)
    for path in (arena.out / "work" / "objects").iterdir():
        path.write_bytes(b"")
    record = arena.run(submission, out=arena.out, resume=True, determinism=False)
    assert (record["failure"]["owner"], record["failure"]["cause"]) == ("platform", "journal")


def test_a_full_host_disk_is_the_platforms_fault(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.fsync", full)
    record = arena.run(infer("open('resources/model', 'w').write('x')"))
    assert (record["failure"]["owner"], record["failure"]["cause"]) == ("platform", "disk")


def test_what_earlier_runs_left_in_the_submission_is_not_taken_along(arena: Arena) -> None:
    submission = arena.write(infer("", "float(os.path.exists('runs'))"))
    first = arena.run(submission, out=submission / "runs" / "one", determinism=False)
    second = arena.run(submission, out=submission / "runs" / "two", determinism=False)
    assert first["digests"]["submission"] == second["digests"]["submission"]
    assert second["status"] == "succeeded"


def test_a_submission_that_does_not_fit_the_disk_limit_is_refused(make_arena: MakeArena) -> None:
    arena = make_arena(limits={"disk": '"16 MiB"'})
    submission = arena.write(infer())
    (submission / "big.bin").write_bytes(bytes(20 << 20))
    record = arena.run(submission)
    assert (record["failure"]["owner"], record["failure"]["cause"]) == ("participant", "submission")
    assert "do not fit" in record["failure"]["message"]


def test_a_file_called_resources_is_refused(arena: Arena) -> None:
    with pytest.raises(SubmissionError, match="resources is the model directory"):
        arena.run(arena.write(infer(), {"resources": "x"}))


def test_a_train_that_cannot_be_called_matters_only_where_it_is(arena: Arena) -> None:
    source = infer().replace("def train(): pass", "train = max")
    assert arena.run(arena.write(source, {"resources/model": "x"}))["status"] == "succeeded"
    failure = arena.run(source)["failure"]
    assert (failure["cause"], failure["function"]) == ("missing-function", "train")


def test_ids_in_half_precision_are_ids(arena: Arena) -> None:
    path = Path(arena.competition)
    for name in ("X.parquet", "y.parquet"):
        frame = pd.read_parquet(path / name)
        frame["id"] = frame["id"].str.removeprefix("id-").astype("int64")
        frame.to_parquet(path / name)
    assert arena.run(infer("X_test['id'] = X_test['id'].astype('float16')"))["status"] == "succeeded"


SWAPS = """
    import _thread

    def swap():
        while True:
            try:
                if os.path.isdir("pkg") and not os.path.islink("pkg"):
                    os.rename("pkg", f"old-{time.monotonic_ns()}")
                    os.symlink(VICTIM, "pkg")
            except OSError:
                pass

    os.register_at_fork(after_in_child=lambda: _thread.start_new_thread(swap, ()))
"""


def test_no_file_is_written_outside_however_directories_are_swapped_for_links(
    arena: Arena,
) -> None:
    victim = Path(tempfile.mkdtemp(prefix="opencrunch-victim-"))
    victim.chmod(0o777)
    try:
        before = f"VICTIM = {str(victim)!r}\n{textwrap.dedent(SWAPS)}"
        files = {f"pkg/m{number}.py": "" for number in range(200)}
        source = infer("import shutil; shutil.rmtree('pkg', ignore_errors=True)", before=before)
        arena.run(arena.write(source, files))
        assert list(victim.iterdir()) == []
    finally:
        shutil.rmtree(victim)


def test_a_call_cannot_write_the_memory_of_the_process_that_it_was_forked_from(arena: Arena) -> None:
    body = """
        refused = 0.0
        for pid in (os.getppid(), 1):
            try:
                open(f"/proc/{pid}/mem", "r+b")
            except OSError:
                refused += 1
    """
    arena.run(infer(body, "refused"))
    assert set(arena.prediction()["first"]) == {2.0}


def test_more_files_than_are_kept_end_the_call_soon(arena: Arena) -> None:
    started = time.monotonic()
    record = arena.run(infer("for n in range(25000): open(f'resources/{n}', 'w').close()"))
    assert record["failure"]["cause"] == "out-of-disk"
    assert time.monotonic() - started < 20


def test_paths_that_are_too_long_are_the_participants_fault(arena: Arena) -> None:
    body = """
        os.chdir("resources")
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
        open("file", "w").close()
    """
    record = arena.run(infer(body))
    assert (record["failure"]["owner"], record["failure"]["cause"]) == ("participant", "out-of-disk")
