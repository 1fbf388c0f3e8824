"""The examination of an adapter: every attack from inside, then its control without guards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from opencrunch.environment.interpreter import Interpreter
from opencrunch.errors import PlatformError
from opencrunch.sandbox.port import Capabilities, Mount, Program, Sandbox

from . import disk, endings, files, identity, kernel, memory, network, processes, tasks
from .attack import NOT_HERE, Attack, Control, Finding
from .plain import PlainProcess
from .scene import Scene
from .target import MOUNT, Target

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp", "TMPDIR": "/tmp"}
_SHOWN = 200  # characters of what a script said


def attacks() -> tuple[Attack, ...]:
    """Return all attacks on the sandbox itself, in the order of their guards."""
    modules = (files, network, processes, kernel, identity, memory, tasks, disk, endings)
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, Attack))


def examine(
    sandbox: Sandbox,
    interpreter: Interpreter,
    *,
    chosen: Sequence[Attack] | None = None,
    base: Path | None = None,
) -> Iterator[Finding]:
    """Attack an adapter and yield what came of each attempt.

    `base` is where on the host the aims are made (default /tmp). Raises PlatformError where the adapter or
    the interpreter cannot start at all.
    """
    capabilities = sandbox.capabilities()
    if not capabilities.available:
        raise PlatformError(f"the '{sandbox.name}' sandbox does not work here: {capabilities.reason}")
    with Target(interpreter.executable, base) as target:
        for attack in attacks() if chosen is None else chosen:
            yield _examine_one(attack, sandbox, capabilities, interpreter, target)


def _examine_one(
    attack: Attack, sandbox: Sandbox, capabilities: Capabilities, interpreter: Interpreter, target: Target
) -> Finding:
    if attack.guard not in capabilities.guards:
        reason = capabilities.absent.get(attack.guard, "the adapter does not claim this guard")
        return _finding(attack, "absent", reason, "not run", "")
    target.renew()
    word = _inside(attack, sandbox, interpreter, target)
    target.renew()
    proof = _control(attack, interpreter, target)
    outcome = "held" if _parts(word) <= attack.held else "broken"
    return _finding(attack, outcome, word, _judge(attack, proof), proof)


def _finding(attack: Attack, outcome: str, detail: str, control: Control, control_detail: str) -> Finding:
    return Finding(
        name=attack.name,
        guard=attack.guard,
        title=attack.title,
        outcome="held" if outcome == "held" else "absent" if outcome == "absent" else "broken",
        detail=detail[:_SHOWN],
        control=control,
        control_detail=control_detail[:_SHOWN],
    )


def _parts(word: str) -> set[str]:
    """Return what was seen, without the explanation of a success."""
    if word.startswith("error"):
        return {word}
    return {"succeeded"} if word.startswith("succeeded") else set(word.split("+"))


def _judge(attack: Attack, word: str) -> Control:
    parts = _parts(word)
    if parts & attack.proof:
        return "proven"
    return "refused" if parts <= attack.held | NOT_HERE else "unproven"


def _argv(attack: Attack, interpreter: Interpreter, token: str) -> list[str]:
    mark = ["-I", "-S", "-X", f"opencrunch={token}-{secrets.token_hex(4)}"]  # of this one start
    return [str(interpreter.executable), *mark, "-c", attack.source(), "{control}"]


def _mark(argv: list[str]) -> bytes:
    return "\0".join(argv[:5]).encode() + b"\0"


def _inside(attack: Attack, sandbox: Sandbox, interpreter: Interpreter, target: Target) -> str:
    argv = _argv(attack, interpreter, target.token)
    program = Program(
        argv=tuple(argv),
        environment=ENVIRONMENT,
        mounts=(
            Mount(source=interpreter.prefix, target=str(interpreter.prefix)),
            Mount(source=target.mount, target=MOUNT),
        ),
        limits=attack.limits,
    )
    try:
        process = sandbox.start(program)
    except PlatformError as error:
        return f"error: it did not start: {error.message}"
    scene = Scene(
        attack=attack,
        running=process,
        target=target,
        mark=_mark(argv),
        guarded=True,
        workspace=program.workspace,
        variables=tuple(ENVIRONMENT),
    )
    try:
        return _explain(scene.play(), scene)
    finally:
        process.kill()


def _control(attack: Attack, interpreter: Interpreter, target: Target) -> str:
    argv = _argv(attack, interpreter, target.token)
    mark = _mark(argv)
    process = PlainProcess(argv, mark, target, as_root=attack.control == "root")
    scene = Scene(
        attack=attack,
        running=process,
        target=target,
        mark=mark,
        guarded=False,
        workspace="",
        variables=tuple(ENVIRONMENT),
    )
    try:
        return _explain(scene.play(), scene)
    finally:
        process.clean()


def _explain(word: str, scene: Scene) -> str:
    """Return the word, with the last line of what the script printed where it failed."""
    if not word.startswith("error"):
        return word
    said = bytes(scene.output).decode(errors="replace").strip().splitlines()
    return f"{word} ({said[-1]})" if said else word
