"""Environments are built once, checked in a sandbox, and found again without network or process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opencrunch.environment import Environment, ensure, trim
from opencrunch.environment.layout import Layout
from opencrunch.environment.search import SUPPORTED, installed
from opencrunch.errors import DependencyError, PlatformError
from opencrunch.sandbox.port import Limits, Mount, Program, Sandbox

Start = Callable[..., subprocess.Popen[str]]
NO_UNFINISHED_BUILD: list[str] = []
INVENTED = "opencrunch_tests_invented_distribution"


def default(cache: Path) -> Environment:
    return ensure(None, python=None, cache=cache)


def requirements(folder: Path, *lines: str) -> Path:
    path = folder / "requirements.txt"
    path.write_text("\n".join(lines))
    return path


def run_inside(sandbox: Sandbox, environment: Environment, code: str) -> str:
    """Run code with the environment's packages in a sandbox; return what it prints."""
    from opencrunch.environment.chamber import interpreter_mounts
    from opencrunch.environment.search import find_interpreter

    interpreter = find_interpreter(environment.python_version, Layout(cache=environment.path.parent.parent))
    site = Mount(source=environment.site_packages, target="/environment")
    start = "import socket, sys; c = socket.socket(fileno=int(sys.argv[1])); "
    start += "sys.path.append(c.recv(4096).decode())\n"
    process = sandbox.start(
        Program(
            argv=(str(environment.interpreter), "-I", "-S", "-c", start + code, "{control}"),
            environment={"PATH": "/usr/bin:/bin", "HOME": "/work"},
            mounts=(*interpreter_mounts(interpreter), site),
            limits=Limits(memory=4 << 30, tasks=256, disk=1 << 28),
        )
    )
    try:
        process.control.sendall(process.inside("/environment").encode())
        deadline = time.monotonic() + 120
        while process.returncode() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        printed = os.read(process.output, 1 << 16).decode()
        assert process.returncode() == 0, printed
        return printed
    finally:
        process.kill()


def test_eight_processes_at_once_make_one_build(answers: list[dict[str, Any]], cache: Path) -> None:
    assert sum(answer["built"] for answer in answers) == 1
    assert len({answer["path"] for answer in answers}) == 1
    layout = Layout(cache=cache)
    assert os.listdir(layout.building) == NO_UNFINISHED_BUILD
    assert [name for name in os.listdir(layout.environments) if not name.startswith(".")] == [
        answers[0]["digest"]
    ]


@pytest.mark.usefixtures("answers")
def test_a_second_look_needs_no_network_and_no_process(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    environment = default(cache)
    assert environment.default
    assert not environment.built
    assert {
        "numpy",
        "pandas",
        "pyarrow",
        "scipy",
        "scikit-learn",
        "joblib",
        "tqdm",
    } <= environment.packages.keys()


@pytest.mark.usefixtures("answers")
def test_the_interpreter_is_a_base_one_with_its_standard_library(cache: Path) -> None:
    environment = default(cache)
    assert not (environment.interpreter.parent.parent / "pyvenv.cfg").exists()
    assert environment.interpreter.is_relative_to(environment.prefix)
    assert any((path / "json" / "__init__.py").is_file() for path in environment.standard_library)


@pytest.mark.usefixtures("answers")
def test_every_user_can_read_what_was_published(cache: Path) -> None:
    environment = default(cache)
    for folder, folders, files in os.walk(environment.path):
        for name in folders:
            assert stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode) == 0o755
        for name in files:
            status = os.lstat(os.path.join(folder, name))
            assert stat.S_ISREG(status.st_mode)
            assert stat.S_IMODE(status.st_mode) in (0o644, 0o755)


@pytest.mark.usefixtures("answers")
def test_modules_come_from_bytecode_that_belongs_to_their_source(cache: Path, sandbox: Sandbox) -> None:
    code = """
import importlib.util, os, sys, pandas.core.frame as module
with open(module.__cached__, "rb") as file:
    header = file.read(16)
with open(module.__file__, "rb") as file:
    source = file.read()
assert header[:4] == importlib.util.MAGIC_NUMBER and header[4:8] == bytes([1, 0, 0, 0])
print(header[8:] == importlib.util.source_hash(source))
loaded = [m for name, m in list(sys.modules.items()) if name.startswith("pandas.")]
plain = [m for m in loaded if (getattr(m, "__file__", None) or "").endswith(".py")]
print(len(plain) > 50, [m.__name__ for m in plain if not os.path.exists(m.__cached__)])
"""
    assert run_inside(sandbox, default(cache), code).split() == ["True", "True", "[]"]


@pytest.mark.parametrize("stage", ["installing", "checking", "compiling"])
@pytest.mark.usefixtures("answers")
def test_a_killed_build_leaves_nothing_that_stands_in_the_way(
    stage: str, cache: Path, tmp_path: Path, start_ensure: Start
) -> None:
    file = requirements(tmp_path, "six")
    builder = start_ensure(cache, file)
    assert builder.stdout is not None
    for line in builder.stdout:
        if line.startswith(f"- {stage}"):
            break
    else:
        pytest.fail(f"the build never said that it is {stage}")
    builder.send_signal(signal.SIGKILL)
    builder.communicate()
    layout = Layout(cache=cache)
    assert len(os.listdir(layout.building)) >= 1
    if stage != "compiling":
        return  # the next stage's build meets what this one left
    environment = ensure(file, python=None, cache=cache)
    assert environment.built
    assert environment.packages["six"]
    assert os.listdir(layout.building) == NO_UNFINISHED_BUILD


def test_old_pins_get_a_pyarrow_that_they_can_import(
    fresh_cache: Path, tmp_path: Path, sandbox: Sandbox
) -> None:
    file = requirements(
        tmp_path,
        "joblib==1.3.2",
        "pandas==2.1.0",
        "numpy==1.24.3",
        "scikit-learn==1.1.3",
        "xgboost==2.0.0",
        "crunch-cli",
    )
    environment = ensure(file, python="3.11", cache=fresh_cache, sandbox=sandbox)
    assert environment.packages["numpy"] == "1.24.3"
    assert environment.packages["pandas"] == "2.1.0"
    assert any("pyarrow<" in note for note in environment.notes)
    assert any("crunch-cli" in note for note in environment.notes)
    code = "import sklearn.linear_model, xgboost, pyarrow; print(sklearn.__version__, xgboost.__version__)"
    assert run_inside(sandbox, environment, code).split() == ["1.1.3", "2.0.0"]
    again = ensure(file, python="3.11", cache=fresh_cache)
    assert (again.built, again.notes) == (False, environment.notes)
    with environment.hold():
        assert trim(fresh_cache, 0, grace=0) == ()
    assert trim(fresh_cache, 0, grace=0) == (environment.digest,)
    rebuilt = ensure(file, python="3.11", cache=fresh_cache)
    assert (rebuilt.built, rebuilt.lock_digest) == (True, environment.lock_digest)


@pytest.mark.usefixtures("answers")
def test_boosting_libraries_of_today_can_be_used(cache: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    environment = ensure(requirements(tmp_path, "lightgbm", "catboost"), python=None, cache=cache)
    code = "import lightgbm, catboost; print(lightgbm.__version__, catboost.__version__)"
    versions = [environment.packages["lightgbm"], environment.packages["catboost"]]
    assert run_inside(sandbox, environment, code).split()[-2:] == versions


def test_code_of_a_wheel_never_runs_outside_and_never_breaks_a_build(
    fresh_cache: Path, tmp_path: Path, wheels: Any, sandbox: Sandbox
) -> None:
    marker = tmp_path / "marker"
    strike = f"import os; open({str(marker)!r}, 'w').close()\n"
    wheels.add(
        INVENTED,
        {
            "hostile.pth": strike,
            "paths.pth": "hostile_more\n",
            "sitecustomize.py": strike,
            "usercustomize.py": strike,
            "hostile/__init__.py": "value = 1\n",
            "hostile/__pycache__/__init__.cpython-311.pyc": b"no bytecode",
            "hostile/broken.py": "def (\n",
            "hostile/nested.py": "(" * 100_000,
            "hostile/deep.py": "x = " + "-" * 200_000 + "1\n",
            "hostile/after.py": "value = 2\n",
        },
    )
    mask = os.umask(0o077)
    try:
        file = requirements(tmp_path, f"{INVENTED}==1.0")
        environment = ensure(file, python=None, cache=fresh_cache, sandbox=sandbox)
    finally:
        os.umask(mask)
    assert not marker.exists()
    assert [note for note in environment.notes if "hostile.pth" in note and "code" in note]
    assert [note for note in environment.notes if "paths.pth" in note and "directories" in note]
    site = environment.site_packages
    assert stat.S_IMODE((site / "hostile").stat().st_mode) == 0o755
    assert stat.S_IMODE((site / "hostile" / "after.py").stat().st_mode) == 0o644
    compiled = sorted(path.name.split(".")[0] for path in (site / "hostile" / "__pycache__").iterdir())
    assert compiled[:2] == ["__init__", "after"]
    assert run_inside(sandbox, environment, "import hostile.after; print(hostile.after.value)").split() == [
        "2"
    ]
    # The control: started in the ordinary way, the environment does strike.
    start = [sys.executable, "-I", "-c", f"import site; site.addsitedir({str(site)!r})"]
    subprocess.run(start, check=True)
    assert marker.exists()


def test_a_module_with_the_platforms_name_is_refused(fresh_cache: Path, tmp_path: Path, wheels: Any) -> None:
    wheels.add(INVENTED, {"crunch/__init__.py": ""})
    with pytest.raises(DependencyError, match='module "crunch"'):
        ensure(requirements(tmp_path, f"{INVENTED}==1.0"), python=None, cache=fresh_cache)
    assert os.listdir(Layout(cache=fresh_cache).building) == NO_UNFINISHED_BUILD


@pytest.mark.usefixtures("answers")
def test_what_cannot_be_had_as_a_wheel_is_an_error_with_the_reason(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match=r"docopt==0\.6\.2 has no usable wheels"):
        ensure(requirements(tmp_path, "docopt==0.6.2"), python=None, cache=cache)
    with pytest.raises(DependencyError, match=r"no version of six==99"):
        ensure(requirements(tmp_path, "six==99"), python=None, cache=cache)
    with pytest.raises(DependencyError, match=r"pandas>=2\.1"):
        ensure(requirements(tmp_path, "pandas==1.5.3"), python=None, cache=cache)


@pytest.mark.usefixtures("answers")
def test_another_python_is_named_or_where_none_is_prescribed_taken(
    cache: Path, tmp_path: Path, wheels: Any
) -> None:
    here = ".".join(map(str, sys.version_info[:2]))
    had = {found.minor for found in installed(Layout(cache=cache))}
    other = next((minor for minor in SUPPORTED if minor != here and minor in had), None)
    wanted = other or next(minor for minor in SUPPORTED if minor != here)
    wheels.add(INVENTED, {"elsewhere.py": ""}, tag=f"cp{wanted.replace('.', '')}-none-any")
    file = requirements(tmp_path, f"{INVENTED}==1.0")
    with pytest.raises(DependencyError, match=f"resolved for Python {wanted}, which this machine"):
        ensure(file, python=here, cache=cache)
    if other is None:
        with pytest.raises(DependencyError, match="does not have"):
            ensure(file, python=None, cache=cache)
        return
    for built in (True, False):
        environment = ensure(file, python=None, cache=cache)
        assert environment.python_version.startswith(f"{other}.")
        assert environment.built == built


@pytest.mark.usefixtures("answers")
def test_an_index_out_of_reach_is_the_platforms_fault_and_stays_unnamed(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://robot:hunter22@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(PlatformError) as caught:
        ensure(requirements(tmp_path, "toolz"), python=None, cache=cache)
    for secret in ("robot", "hunter22", "127.0.0.1", str(Path.home())):
        assert secret not in caught.value.message
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(PlatformError, match="network was disabled"):
        ensure(requirements(tmp_path, "toolz"), python=None, cache=cache)


def test_a_python_that_the_machine_lacks_is_an_error_that_says_what_it_has(fresh_cache: Path) -> None:
    with pytest.raises(PlatformError, match=r"Python 3\.99 is needed, but this machine has .*3\.1"):
        ensure(None, python="3.99", cache=fresh_cache)


@pytest.mark.usefixtures("answers")
def test_neither_locks_nor_records_hold_an_address(cache: Path) -> None:
    environment = default(cache)
    files = [*(cache / "locks").iterdir()]
    files += [environment.path / "environment.json", environment.path / "lock.txt"]
    assert len(files) >= 3
    for file in files:
        assert "://" not in file.read_text()


def test_a_cache_that_cannot_be_written_is_the_platforms_fault(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(PlatformError, match="could not be built"):
        ensure(None, python=None, cache=tmp_path / "cache")
