"""The whole examination against every adapter that works here, and proof that it can fail."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from opencrunch.environment.interpreter import Interpreter
from opencrunch.environment.layout import Layout
from opencrunch.environment.search import find_interpreter
from opencrunch.errors import PlatformError
from opencrunch.sandbox.attacks import inside, suite
from opencrunch.sandbox.attacks.attack import Attack, Finding
from opencrunch.sandbox.attacks.plain import processes_of
from opencrunch.sandbox.identity import engine_is_root
from opencrunch.sandbox.port import Capabilities, Guard, Mount, Process, Program, Sandbox
from opencrunch.sandbox.select import NAMES, select
from opencrunch.settings import cache_directory

ATTACKS = {attack.name: attack for attack in suite.attacks()}
ALL_GUARDS: tuple[Guard, ...] = (
    "network", "files", "metadata", "processes", "ipc", "kernel", "environment", "memory", "tasks", "disk",
    "kill", "identity",
)  # fmt: skip

# What a kernel may have been built without, so that nothing can prove these there.
PARTS_OF_THE_KERNEL = {
    "open-kernel-crypto-socket", "open-virtual-machine-socket", "open-socket-by-x32-call",
    "open-socket-by-32-bit-call", "load-kernel", "load-module", "use-ports", "change-segments",
    "connect-by-tcp-version-6", "change-quotas", "type-into-terminal", "read-keyrings", "add-key",
}  # fmt: skip
FOR_ROOT = {name for name, attack in ATTACKS.items() if attack.control == "root"}

# Those whose success does nothing to the machine.
HARMLESS = [
    "read-by-absolute-path", "create-file-in-mount", "stat-hidden-file", "connect-by-tcp", "send-by-udp",
    "connect-to-abstract-socket", "signal-others", "read-environment-of-others", "read-own-environment",
    "unshare-user-namespace", "set-up-io-uring", "open-userfaultfd", "outlive-kill", "fill-workspace",
    "fork-many", "write-without-end", "truncate-log-of-host", "use-inherited-descriptors",
]  # fmt: skip

COMMAND = "import sys; from opencrunch.cli import main; main(sys.argv[1:])"


def available() -> list[str]:
    return [name for name in NAMES if select(name).capabilities().available]


@cache
def interpreter() -> Interpreter:
    return find_interpreter(None, Layout(cache=cache_directory()))


@cache
def examined(name: str) -> dict[str, Finding]:
    return {finding.name: finding for finding in suite.examine(select(name), interpreter())}


def examine(sandbox: Sandbox, *names: str, base: Path | None = None) -> dict[str, Finding]:
    chosen = [ATTACKS[name] for name in names]
    findings = suite.examine(sandbox, interpreter(), chosen=chosen, base=base)
    return {finding.name: finding for finding in findings}


class Claiming:
    """An adapter that claims every guard, whatever stands behind it."""

    name = "claiming"

    def __init__(self, behind: Sandbox, *more: Mount) -> None:
        self._behind = behind
        self._more = more

    def capabilities(self) -> Capabilities:
        """Claim everything."""
        return Capabilities(adapter=self.name, available=True, guards=dict.fromkeys(ALL_GUARDS, "enforced"))

    def start(self, program: Program) -> Process:
        """Start it behind, with more mounts."""
        return self._behind.start(replace(program, mounts=(*program.mounts, *self._more)))


@pytest.fixture
def base() -> Iterator[Path]:
    """Make a directory with a short name that every user may pass; names of sockets have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="aims-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_there_are_attacks_on_every_guard() -> None:
    assert len(ATTACKS) >= 100
    assert {attack.guard for attack in ATTACKS.values()} == set(ALL_GUARDS)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_has_all_names_that_it_uses_where_it_runs(attack: Attack) -> None:
    code = compile(attack.source(), attack.name, "exec")
    there = set(vars(inside)) | set(vars(builtins)) | {attack.script.__name__}
    assert set(_global_names(attack.script.__code__)) <= there
    assert code.co_consts


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_word_counts_both_as_held_and_as_proof(attack: Attack) -> None:
    assert attack.held
    assert attack.proof
    assert not attack.held & attack.proof
    assert "succeeded" not in attack.held


def test_an_adapter_works_here() -> None:
    assert available()


@pytest.mark.parametrize("name", available())
def test_every_claimed_guard_holds(name: str) -> None:
    broken = {
        finding.name: finding.detail for finding in examined(name).values() if finding.outcome == "broken"
    }
    assert broken == {}


@pytest.mark.parametrize("name", available())
def test_guards_that_are_not_claimed_are_absent_with_the_reason(name: str) -> None:
    capabilities = select(name).capabilities()
    for finding in examined(name).values():
        claimed = finding.guard in capabilities.guards
        assert (finding.outcome == "absent") is not claimed
        assert finding.detail


@pytest.mark.parametrize("name", available())
def test_every_attack_is_proven_to_work_without_the_guard(name: str) -> None:
    excused = PARTS_OF_THE_KERNEL if engine_is_root() else PARTS_OF_THE_KERNEL | FOR_ROOT
    for finding in examined(name).values():
        if finding.outcome == "absent":
            assert finding.control == "not run"
        elif finding.control == "refused":
            assert finding.name in excused, finding
        else:
            assert finding.control == "proven", finding


def test_a_start_without_guards_is_found_broken() -> None:
    findings = examine(Claiming(select("process")), *HARMLESS)
    bounded = {"outlive-kill", "fill-workspace", "fork-many", "write-without-end", "read-own-environment",
               "truncate-log-of-host", "use-inherited-descriptors"}  # fmt: skip
    for name in set(HARMLESS) - bounded:
        assert findings[name].outcome == "broken", findings[name]


@pytest.mark.parametrize("name", [name for name in available() if name != "process"])
def test_one_mount_too_many_is_found_broken(name: str, base: Path) -> None:
    weak = Claiming(select(name), Mount(source=base, target=str(base)))
    findings = examine(weak, "read-by-absolute-path", "read-through-planted-link", base=base)
    assert {finding.outcome for finding in findings.values()} == {"broken"}


def test_an_adapter_without_its_filter_is_found_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from opencrunch.sandbox import seccomp

    allow_everything = b"\x06\0\0\0\0\0\xff\x7f"
    monkeypatch.setattr(seccomp, "program", lambda **_: allow_everything)
    strongest = next(name for name in available() if name != "process")
    findings = examine(select(strongest), "set-up-io-uring", "change-root-directory", "set-clock")
    assert {finding.outcome for finding in findings.values()} == {"broken"}


def test_an_attack_that_only_fails_is_broken_and_unproven() -> None:
    misspelt = replace(ATTACKS["connect-by-tcp"], script=_misspelt)
    (finding,) = suite.examine(select("auto"), interpreter(), chosen=[misspelt])
    assert finding.outcome == "broken"
    assert finding.control == "unproven"
    assert "NameError" in finding.detail


def test_an_attack_that_exits_is_broken() -> None:
    leaving = replace(ATTACKS["connect-by-tcp"], script=_leaving)
    (finding,) = suite.examine(select("auto"), interpreter(), chosen=[leaving])
    assert finding.outcome == "broken"
    assert finding.control == "unproven"


def test_nothing_is_left_behind(base: Path) -> None:
    chosen = [ATTACKS["outlive-kill"], ATTACKS["flee-from-kill"], ATTACKS["read-shared-memory-directory"]]
    tokens = set()
    for _ in suite.examine(select("auto"), interpreter(), chosen=chosen, base=base):
        tokens |= {path.name for path in base.iterdir()}
    (token,) = tokens
    assert list(base.iterdir()) == []
    assert not (Path("/dev/shm") / token).exists()
    assert processes_of(f"{interpreter().executable}\0-I\0-S\0-X\0opencrunch={token}".encode()) == []


def test_an_unavailable_adapter_is_refused() -> None:
    class Missing(Claiming):
        def capabilities(self) -> Capabilities:
            return Capabilities(adapter=self.name, available=False, reason="there is none")

    with pytest.raises(PlatformError, match="there is none"):
        examine(Missing(select("process")), "connect-by-tcp")


def test_the_command_prints_json_and_its_status_says_whether_all_held() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "sandbox", "check", "--adapter", "process", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    document = json.loads(done.stdout)
    assert document["adapter"] == "process"
    outcomes = {attack["outcome"] for attack in document["attacks"]}
    assert outcomes <= {"held", "broken", "absent"}
    assert done.returncode == ("broken" in outcomes)
    assert {attack["name"] for attack in document["attacks"]} >= set(ATTACKS)


def _global_names(code: object) -> Iterator[str]:
    import dis
    from types import CodeType

    assert isinstance(code, CodeType)
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _misspelt(given: dict[str, object]) -> str:
    return str(sokcet.create_connection(("127.0.0.1", given["tcp"])))  # type: ignore[name-defined]  # noqa: F821


def _leaving(given: dict[str, object]) -> str:
    import os

    os._exit(0)
