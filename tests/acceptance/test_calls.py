"""How a submission's functions are called: parameters, frames, state."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.acceptance.conftest import Arena, MakeArena, infer


def succeeded(record: dict[str, Any]) -> dict[str, Any]:
    assert record["failure"] is None, record["failure"]
    assert record["status"] == "succeeded"
    return record


EVERY_NAME = '''
import json, os
import pandas as pd
import crunch

def note(place, **values):
    columns = values["column_names"]
    checks = {
        "ids": values["id_column_name"], "moons": values["moon_column_name"], "moon": values["moon"],
        "same": values["moon"] == values["current_moon"] == values["loop_moon"],
        "target": values["target_column_name"], "targets": list(values["target_column_names"]),
        "by_name": values["target_column_names"].second,
        "by_item": values["prediction_column_names"]["second"],
        "prediction": values["prediction_column_name"],
        "predictions": list(values["prediction_column_names"]),
        "features": values["feature_column_names"], "even": values["feature_column_names_even"],
        "count": values["number_of_features"], "embargo": values["embargo"], "gpu": values["has_gpu"],
        "trained": values["has_trained"], "model": values["model_directory_path"],
        "data": values["data_directory_path"], "columns": type(columns).__name__,
        "columns_target": columns.target_column_name, "inside": crunch.is_inside_runner, "name": __name__,
        "cwd": os.path.abspath(values["model_directory_path"]) == os.path.join(os.getcwd(), "resources"),
    }
    with open(os.path.join(values["model_directory_path"], place + ".json"), "w") as file:
        json.dump(checks, file)

NAMES = """id_column_name moon_column_name target_column_name target_column_names prediction_column_name
prediction_column_names feature_column_names feature_column_names_even number_of_features embargo has_gpu
has_trained moon current_moon loop_moon model_directory_path data_directory_path column_names""".split()

exec(f"def train(X_train, x_train, y_train, Y_train, {', '.join(NAMES)}):\\n"
     "    assert X_train is x_train and y_train is Y_train\\n"
     "    assert list(y_train[target_column_names].columns) == ['first', 'second']\\n"
     f"    note('train', {', '.join(f'{n}={n}' for n in NAMES)})")
exec(f"def infer(X_test, x_test, {', '.join(NAMES)}):\\n"
     "    assert X_test is x_test\\n"
     f"    note(f'infer-{{moon}}', {', '.join(f'{n}={n}' for n in NAMES)})\\n"
     "    return pd.DataFrame({'id': X_test['id'], 'moon': moon, 'first': 0.0, 'guess': 0.0})")
'''


def test_every_name_of_the_interface_has_its_value(arena: Arena) -> None:
    succeeded(arena.run(EVERY_NAME))
    known = {
        "ids": "id", "moons": "moon", "same": True, "target": "first", "targets": ["first", "second"],
        "by_name": "second", "by_item": "guess", "prediction": "first", "predictions": ["first", "guess"],
        "features": ["f0", "f1", "f2", "f3"], "even": ["f0", "f2"], "count": 4, "embargo": 1, "gpu": False,
        "model": "resources", "data": None, "columns": "Columns", "columns_target": "first", "inside": True,
        "name": "main", "cwd": True,
    }  # fmt: skip
    for place, moon, trained in (("train", 6, True), ("infer-6", 6, True), ("infer-7", 7, False)):
        found = json.loads((arena.out / "resources" / f"{place}.json").read_text())
        assert found == {**known, "moon": moon, "trained": trained}, place


def test_training_goes_by_the_moons_value_and_sees_rows_before_the_embargo_only(
    make_arena: MakeArena,
) -> None:
    arena = make_arena(train_frequency=4, embargo=2)
    source = """
        import pandas as pd
        def train(X_train, y_train, moon, model_directory_path):
            assert (X_train["moon"] == y_train["moon"]).all() and (X_train["id"] == y_train["id"]).all()
            assert list(X_train.index) == list(range(len(X_train)))
            with open(model_directory_path + "/seen", "a") as file:
                file.write(f"{moon}:{X_train['moon'].min()}-{X_train['moon'].max()}:{len(X_train)} ")
        def infer(X_test, moon):
            assert set(X_test["moon"]) == {moon}
            return pd.DataFrame({"id": X_test["id"], "moon": moon, "first": 0.0, "guess": 0.0})
    """
    succeeded(arena.run(textwrap.dedent(source)))
    assert (arena.out / "resources" / "seen").read_text() == "6:0-3:80 8:0-5:120 "


def test_frames_are_what_the_organisers_file_holds(arena: Arena) -> None:
    body = "X_test.to_pickle('resources/X.pkl')"
    succeeded(arena.run(infer(body)))
    stored = pd.read_parquet(arena.competition / "X.parquet")
    expected = stored[stored["moon"] == 8].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_pickle(arena.out / "resources" / "X.pkl"), expected)


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("def train(X_train=None): assert X_train is None", "keeps its default"),
        ("def train(y_trian): assert y_trian is None", 'closest known name is "y_train"'),
        ("def train(*args, **kwargs): assert not args and not kwargs", "receive nothing"),
        ("import numpy\ndef train(noise=numpy.zeros(3)): assert len(noise) == 3", None),
        ("def train(X_train, y_train, /): assert len(X_train) == len(y_train)", None),
        (
            "def train(model_directory_path='resources'): open(model_directory_path + '/x', 'w')",
            "keeps its default",
        ),
        ("class Train:\n    def __call__(self, X_train): assert len(X_train)\ntrain = Train()", None),
        (
            "import functools\ndef fit(depth, X_train): assert depth == 3\ntrain = functools.partial(fit, 3)",
            None,
        ),
        ("import typing\ndef train(X_train: typing.Generator[float]) -> typing.Generator[float]: pass", None),
        ("def train(X_train: nothing.at.all): pass", None),
    ],
)
def test_parameters_are_matched_by_name(arena: Arena, source: str, note: str | None) -> None:
    succeeded(arena.run(infer().replace("def train(): pass", source), determinism=False))
    if note is None:
        assert "warning" not in arena.log()
    else:
        assert arena.log().count(note) == 1


def test_an_annotated_infer_is_called_like_any_other(arena: Arena) -> None:
    source = infer().replace(
        "def infer(X_test, moon):", "import typing\ndef infer(X_test, moon) -> typing.Generator[float]:"
    )
    succeeded(arena.run(source))


def test_each_call_starts_as_just_imported(arena: Arena) -> None:
    succeeded(arena.run(infer("calls.append(1)", "float(len(calls))", before="calls = []")))
    assert set(arena.prediction()["first"]) == {1.0}


def test_what_a_call_changes_in_its_frame_reaches_no_other(arena: Arena) -> None:
    body = "seen = X_test['f0'].to_numpy().copy()\nX_test.loc[:, 'f0'] = 0.0\nX_test.iloc[:, 2:] = 1.0"
    succeeded(arena.run(infer(body, "seen")))
    stored = pd.read_parquet(arena.competition / "X.parquet")
    expected = stored[stored["moon"].between(6, 8)]["f0"].astype("float64").tolist()
    assert arena.prediction()["first"].tolist() == expected


def test_resources_are_kept_from_call_to_call_and_the_submissions_own_is_untouched(arena: Arena) -> None:
    body = """
        count = int(open("resources/count").read())
        open("resources/count", "w").write(str(count + 1))
    """
    submission = arena.write(infer(body, "float(count)"), {"resources/count": "40"})
    succeeded(arena.run(submission))
    assert arena.prediction().groupby("moon")["first"].first().to_dict() == {6: 40.0, 7: 41.0, 8: 42.0}
    assert (submission / "resources" / "count").read_text() == "40"
    assert (arena.out / "resources" / "count").read_text() == "43"


LEAVES_TRACES = """
    def leave():
        places = ["note", "sub/note", "/tmp/note", "/dev/shm/note", os.environ["HOME"] + "/note"]
        found = [os.path.exists(place) for place in places] + [not os.path.exists("keep.txt")]
        found.append(open("changed.txt").read() != "original")
        for place in places:
            os.makedirs(os.path.dirname(place) or ".", exist_ok=True)
            open(place, "w").close()
        os.remove("keep.txt")
        open("changed.txt", "w").write("replaced")
        return float(any(found))
"""


def test_what_is_written_outside_resources_is_gone_at_the_next_call(arena: Arena) -> None:
    submission = arena.write(
        infer("", "leave()", before=LEAVES_TRACES), {"keep.txt": "kept", "changed.txt": "original"}
    )
    succeeded(arena.run(submission))
    assert set(arena.prediction()["first"]) == {0.0}


NOTES_BY_MEMORY = "import mmap\nnotes = mmap.mmap(-1, 4096)"
NOTES_BY_HELPER = """
    import socket, threading
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        count = 0
        while theirs.recv(1):
            count += 1
            theirs.send(bytes([count]))
        os._exit(0)
"""


def test_notes_by_a_shared_mapping_of_the_import_do_not_arrive(arena: Arena) -> None:
    record = succeeded(arena.run(infer("notes[0] += 1", "float(notes[0])", before=NOTES_BY_MEMORY)))
    assert set(arena.prediction()["first"]) == {1.0}
    assert record["process"]["mode"] == "fresh"
    assert "shared mapping" in record["process"]["reason"]


def test_notes_by_a_helper_process_of_the_import_do_not_arrive(arena: Arena) -> None:
    record = succeeded(arena.run(infer("ours.send(b'x')", "float(ours.recv(1)[0])", before=NOTES_BY_HELPER)))
    assert set(arena.prediction()["first"]) == {1.0}
    assert record["process"]["mode"] == "fresh"


def test_a_submission_that_used_openmp_at_import_gets_fresh_processes(arena: Arena) -> None:
    before = """
        from sklearn.ensemble import HistGradientBoostingRegressor
        rows = np.random.default_rng(0).random((4000, 4))
        model = HistGradientBoostingRegressor(max_iter=3).fit(rows, rows[:, 0])
    """
    value = "model.predict(X_test[['f0', 'f1', 'f2', 'f3']].to_numpy())"
    record = succeeded(arena.run(infer("", value, before=before)))
    assert record["process"]["mode"] == "fresh"
    assert "OpenMP" in record["process"]["reason"]


def test_openmp_used_in_calls_alone_needs_no_fresh_process(arena: Arena) -> None:
    body = """
        rows = X_test[['f0', 'f1', 'f2', 'f3']].to_numpy()
        model = HistGradientBoostingRegressor(max_iter=3).fit(rows, rows[:, 0])
    """
    before = "from sklearn.ensemble import HistGradientBoostingRegressor"
    record = succeeded(arena.run(infer(body, "model.predict(rows)", before=before)))
    assert record["process"] == {"mode": "fork", "reason": None}


@pytest.mark.parametrize(
    ("before", "value"),
    [
        ("np.random.seed(7)", "np.random.random(len(X_test))"),
        ("import random\nrandom.seed(7)", "[random.random() for _ in range(len(X_test))]"),
        ("source = np.random.default_rng(7)", "source.random(len(X_test))"),
    ],
)
def test_a_generator_seeded_at_import_starts_each_call_in_that_state(
    arena: Arena, before: str, value: str
) -> None:
    record = succeeded(arena.run(infer("", value, before=before)))
    assert record["deterministic"] is True
    by_moon = arena.prediction().groupby("moon")["first"].apply(list)
    assert by_moon[6] == by_moon[7] == by_moon[8]


@pytest.mark.parametrize(
    ("before", "value"),
    [
        ("", "np.random.random(len(X_test))"),
        ("import random", "[random.random() for _ in range(len(X_test))]"),
        ("source = np.random.default_rng()", "source.random(len(X_test))"),
        ("np.random.seed(None)", "np.random.random(len(X_test))"),
    ],
)
def test_an_unseeded_generator_differs_from_call_to_call_and_in_the_replay(
    arena: Arena, before: str, value: str
) -> None:
    record = succeeded(arena.run(infer("", value, before=before)))
    assert record["deterministic"] is False
    difference = record["determinism"]["difference"]
    assert difference["key"] in (6, 7, 8)
    assert difference["column"] == "first"
    assert difference["row"].startswith("id-")
    assert difference["first"] != difference["second"]
    assert arena.prediction()["first"].nunique() == 60


def test_what_depends_on_the_hash_seed_is_not_deterministic(arena: Arena) -> None:
    assert succeeded(arena.run(infer("", "float(hash('text') % 1000)")))["deterministic"] is False


def test_the_replay_keeps_has_trained(make_arena: MakeArena) -> None:
    arena = make_arena(train_frequency=1)
    source = infer("", "float(has_trained)", parameters="X_test, moon, has_trained")
    assert succeeded(arena.run(source))["deterministic"] is True
    assert set(arena.prediction()["first"]) == {1.0}


def test_the_replay_starts_from_the_resources_that_infer_started_from(arena: Arena) -> None:
    body = """
        count = len(os.listdir("resources"))
        open(f"resources/{count}", "w").close()
    """
    for seed in range(3):
        assert succeeded(arena.run(infer(body, "float(count)"), seed=seed))["deterministic"] is True


def test_without_the_check_deterministic_is_null(arena: Arena) -> None:
    record = succeeded(arena.run(infer(), determinism=False))
    assert record["deterministic"] is None
    assert record["determinism"] is None


PROCESSES = {
    "joblib": (
        "from joblib import Parallel, delayed",
        "Parallel(n_jobs=2)(delayed(double)(n) for n in range(20))",
    ),
    "spawn": ("import multiprocessing as mp", "mp.get_context('spawn').Pool(2).map(double, range(20))"),
    "fork": ("import multiprocessing as mp", "mp.get_context('fork').Pool(2).map(double, range(20))"),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor",
        "list(ThreadPoolExecutor(4).map(double, range(20)))",
    ),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_a_submission_may_start_processes_over_its_own_functions(arena: Arena, name: str) -> None:
    before, value = PROCESSES[name]
    before = f"{before}\ndef double(n): return 2.0 * n"
    record = succeeded(arena.run(infer("", value, before=before)))
    assert record["process"]["mode"] == "fork"
    assert arena.prediction()["first"].tolist() == [2.0 * n for n in range(20)] * 3


def test_classes_of_the_main_module_pickle_and_unpickle_across_calls(arena: Arena) -> None:
    source = infer(
        "model = pickle.load(open('resources/model', 'rb'))",
        "model.value",
        before="import pickle\nclass Model:\n    value = 5.0",
    ).replace("def train(): pass", "def train(): pickle.dump(Model(), open('resources/model', 'wb'))")
    succeeded(arena.run(source))
    assert set(arena.prediction()["first"]) == {5.0}


def test_what_a_notebook_pickled_from_its_main_is_found(arena: Arena) -> None:
    pickled = b"c__main__\nModel\n)R."
    source = infer("", "pickle.loads(pickled).value",
                   before=f"import pickle\npickled = {pickled!r}\nclass Model:\n    value = 6.0")  # fmt: skip
    succeeded(arena.run(source))
    assert set(arena.prediction()["first"]) == {6.0}


def test_sibling_files_are_imported_also_when_named_like_a_standard_module(arena: Arena) -> None:
    submission = arena.write(
        infer("", "own.VALUE + statistics.VALUE", before="import own, statistics"),
        {
            "own.py": "VALUE = 1.0",
            "statistics.py": "VALUE = 2.0",
            "json.py": "raise RuntimeError('not mine')",
        },
    )
    succeeded(arena.run(submission))
    assert set(arena.prediction()["first"]) == {3.0}


def test_a_package_called_crunch_in_the_submission_does_not_replace_the_platforms(arena: Arena) -> None:
    submission = arena.write(
        infer("", "float(crunch.is_inside_runner)", before="import crunch"),
        {"crunch/__init__.py": "is_inside_runner = 9.0"},
    )
    succeeded(arena.run(submission))
    assert set(arena.prediction()["first"]) == {1.0}


def test_output_bars_and_display_are_logged(arena: Arena) -> None:
    body = """
        for _ in tqdm(range(3)): pass
        display("shown")
        print("\\x1b[31mprinted")
        os.write(2, b"\\xff raw\\n")
    """
    succeeded(arena.run(infer(body, before="from tqdm.notebook import tqdm")))
    log = arena.log()
    assert "6 infer | shown" in log
    assert "6 infer | \\x1b[31mprinted" in log
    assert "3/3" in log
    assert "raw" in log


def test_a_log_over_its_budget_is_cut_and_does_not_fail_the_run(arena: Arena) -> None:
    succeeded(arena.run(infer("for _ in range(20000): print('x' * 100)"), determinism=False))
    assert arena.log().count("over its 16,384 bytes") == 3
    assert len(arena.log()) < 100_000


def test_standard_places_are_writable_and_the_rest_is_not(arena: Arena) -> None:
    body = """
        for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "CATBOOST_TRAIN_DIR"):
            os.makedirs(os.environ[name], exist_ok=True)
            open(os.path.join(os.environ[name], "file"), "w").close()
            assert os.environ[name].startswith("/tmp/")
        for path in ("/usr/x", "/x", os.path.dirname(np.__file__) + "/x"):
            try:
                open(path, "w")
            except OSError:
                continue
            raise AssertionError(path)
    """
    succeeded(arena.run(infer(body)))


def test_there_is_no_network(arena: Arena) -> None:
    body = """
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.socket(family, socket.SOCK_STREAM).connect(("127.0.0.1", 9))
            except OSError:
                continue
            raise AssertionError(family)
    """
    succeeded(arena.run(infer(body, before="import socket")))


def test_resources_shipped_with_the_submission_need_no_train(arena: Arena) -> None:
    source = infer("", "float(open('resources/model').read())").replace("def train(): pass", "")
    record = succeeded(arena.run(arena.write(source, {"resources/model": "7"})))
    assert [call["function"] for call in record["timings"]["calls"]] == ["infer"] * 3


def test_forcing_the_first_training_trains_though_a_model_is_there(arena: Arena) -> None:
    submission = arena.write(infer(), {"resources/model": "7"})
    record = succeeded(arena.run(submission, force_first_train=True))
    assert [call["function"] for call in record["timings"]["calls"]] == ["train", "infer", "infer", "infer"]


def test_links_and_pipes_in_resources_are_not_kept(arena: Arena) -> None:
    body = """
        open("resources/model", "w").write("x")
        os.chmod("resources/model", 0)
        if not os.path.lexists("resources/link"):
            os.symlink("/etc/passwd", "resources/link")
            os.mkfifo("resources/fifo")
            kept = 0.0
        else:
            kept = 1.0
    """
    source = infer(
        body.replace('open("resources/model"', 'os.path.exists("resources/model") or open("resources/model"'),
        "kept",
    )
    succeeded(arena.run(source))
    assert set(arena.prediction()["first"]) == {0.0}
    assert [path.name for path in (arena.out / "resources").iterdir()] == ["model"]


def test_predictions_are_in_the_order_of_the_data_whatever_infer_returns(arena: Arena) -> None:
    source = infer("X_test = X_test.sample(frac=1, random_state=1)", "X_test['f0'].to_numpy()")
    succeeded(arena.run(source))
    stored = pd.read_parquet(arena.competition / "X.parquet")
    expected = stored[stored["moon"].between(6, 8)].reset_index(drop=True)
    found = arena.prediction()
    assert found["id"].tolist() == expected["id"].tolist()
    assert found["moon"].tolist() == expected["moon"].tolist()
    assert np.array_equal(found["first"], expected["f0"].astype("float64"))
    assert list(found.columns) == ["moon", "id", "first", "guess"]
    assert str(found["guess"].dtype) == "float64"
