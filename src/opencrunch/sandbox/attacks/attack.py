"""An attack: what is tried inside, what counts as held, and what proves that it works."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from opencrunch.sandbox.port import Guard, Limits

if TYPE_CHECKING:
    from .scene import Scene

Outcome = Literal["held", "broken", "absent"]
Control = Literal[
    "proven",  # it works where the guard is off
    "refused",  # the machine itself refuses it, guard or no guard
    "unproven",  # it does not work, so that it proves nothing
    "not run",
]
Script = Callable[[dict[str, Any]], str]
Look = Callable[["Scene", str], str]

MEBIBYTE = 1 << 20
LIMITS = Limits(
    memory=256 * MEBIBYTE,
    tasks=64,
    disk=16 * MEBIBYTE,
    temporary=16 * MEBIBYTE,
    descriptors=1024,
)

# Words that mean that the system refused.
DENIED = frozenset({"EPERM", "EACCES"})
HIDDEN = DENIED | {"ENOENT", "hidden"}
READ_ONLY = HIDDEN | {"EROFS"}
NO_CALL = frozenset({"EPERM", "ENOSYS", "EACCES", "SIGSYS"})
NO_PROCESS = NO_CALL | {"ESRCH", "ENOENT", "hidden"}
OUT_OF_MEMORY = frozenset({"ENOMEM", "out-of-memory"})
OUT_OF_DISK = frozenset({"ENOSPC", "EDQUOT", "EFBIG", "out-of-disk", "out-of-memory"})
OUT_OF_TASKS = frozenset({"EAGAIN", "too-many-processes"})

# What a machine says that does not have the thing at all; inside a sandbox these words mean nothing.
NOT_HERE = frozenset({"ENOSYS", "EOPNOTSUPP", "EAFNOSUPPORT", "EADDRNOTAVAIL", "no-program"})


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attempt from inside."""

    name: str
    guard: Guard
    title: str
    script: Script
    held: frozenset[str]  # what it reports where the guard holds; anything else is broken
    proof: frozenset[str]  # what it reports where the guard is off
    control: Literal["user", "root"]  # who runs it without guards
    look: Look | None  # what is found out from outside before the sandbox is killed
    limits: Limits
    timeout: float

    def source(self) -> str:
        """Return the program that is run inside, a `python -c` argument."""
        from . import inside

        tree = ast.parse(textwrap.dedent(inspect.getsource(self.script)))
        function = tree.body[0]
        if not isinstance(function, ast.FunctionDef):
            raise TypeError(f"the attack '{self.name}' is not a function")
        function.decorator_list = []
        return f"{inspect.getsource(inside)}\n\n{ast.unparse(tree)}\n\nmain({function.name})\n"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came of one attack."""

    name: str
    guard: str
    title: str
    outcome: Outcome
    detail: str
    control: Control
    control_detail: str

    def to_json(self) -> dict[str, str]:
        """Return what `crunch sandbox check --json` prints of it."""
        return {
            "name": self.name,
            "guard": self.guard,
            "outcome": self.outcome,
            "detail": self.detail,
            "control": self.control,
            "control_detail": self.control_detail,
        }


def attack(
    guard: Guard,
    held: Iterable[str],
    *,
    proof: Iterable[str] = ("succeeded",),
    control: Literal["user", "root"] = "user",
    look: Look | None = None,
    limits: Limits = LIMITS,
    timeout: float = 15.0,
) -> Callable[[Script], Attack]:
    """Make an attack of a function whose source runs inside; its docstring is the title."""

    def make(script: Script) -> Attack:
        return Attack(
            name=script.__name__.replace("_", "-"),
            guard=guard,
            title=(script.__doc__ or "").strip().rstrip("."),
            script=script,
            held=frozenset(held),
            proof=frozenset(proof),
            control=control,
            look=look,
            limits=limits,
            timeout=timeout,
        )

    return make
