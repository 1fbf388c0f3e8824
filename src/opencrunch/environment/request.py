"""From what a submission asks for to an environment that is there."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DependencyError, PlatformError
from .guard import guard
from .interpreter import Interpreter
from .layout import Layout
from .lock import (
    ADDITIONS,
    Lock,
    load_lock,
    load_other_python,
    make_lock,
    question,
    save_lock,
    save_other_python,
)
from .requirements import Requirements, default_requirements, read_requirements
from .resolution import Unresolvable, resolved
from .search import find_interpreter
from .store import Environment, open_environment

if TYPE_CHECKING:
    from ..sandbox.port import Sandbox
    from .verification import Unimportable

MOST_ATTEMPTS = 8  # versions of pyarrow that are tried


def ensure(
    requirements: Path | None,
    *,
    python: str | None,
    cache: Path,
    progress: Callable[[str], None] | None = None,
    sandbox: Sandbox | None = None,
) -> Environment:
    """Return the environment for a requirements file (None: the default set), built when it is not there yet.

    Finding one again needs no network and starts no process. A new one is checked and compiled in `sandbox`
    (None: the strongest that the machine offers). Without `python` the engine's own version serves, or
    another of this machine where only that can have what is asked. Raises DependencyError for what the file
    asks, PlatformError for the machine, UsageError for what is no Python version.
    """
    started = time.perf_counter()
    asked = default_requirements() if requirements is None else read_requirements(requirements)
    request = _Request.make(asked, python, Layout(cache=cache), sandbox, progress or (lambda text: None))
    environment = request.answer() if python is not None else _with_any_python(request)
    return dataclasses.replace(environment, seconds=time.perf_counter() - started)


def _with_any_python(request: _Request) -> Environment:
    """Return the environment for the engine's own version, or for another where only that has one."""
    other = load_other_python(request.key, request.layout)
    if other is not None:
        return request.with_python(other).answer()
    try:
        return request.answer()
    except Unresolvable as error:
        if error.here is None:
            raise
        other = error.here
    environment = request.with_python(other).answer()
    save_other_python(request.key, other, request.layout)
    return environment


@dataclass(frozen=True, kw_only=True)
class _Request:
    """One question with all that answering it takes."""

    asked: Requirements
    interpreter: Interpreter
    layout: Layout
    key: str
    sandbox: Sandbox | None
    progress: Callable[[str], None]

    @classmethod
    def make(
        cls,
        asked: Requirements,
        python: str | None,
        layout: Layout,
        sandbox: Sandbox | None,
        progress: Callable[[str], None],
    ) -> _Request:
        """Return the question for a Python version."""
        interpreter = find_interpreter(python, layout)
        return cls(
            asked=asked,
            interpreter=interpreter,
            layout=layout,
            key=question(asked, interpreter),
            sandbox=sandbox,
            progress=progress,
        )

    def with_python(self, python: str) -> _Request:
        """Return the same question for another Python version."""
        return self.make(self.asked, python, self.layout, self.sandbox, self.progress)

    def answer(self) -> Environment:
        """Return the environment, found or built."""
        return self.existing() or self.build()

    def existing(self) -> Environment | None:
        """Return the environment if its question was answered before and it is still there."""
        lock = load_lock(self.key, self.layout)
        return None if lock is None else self._open(lock)

    def build(self) -> Environment:
        """Return the environment, built by this process or by one that it waits for."""
        try:
            return self._build_alone()
        except OSError as error:
            where = f' in the cache "{self.layout.cache}"'
            raise PlatformError(
                f"an environment could not be built{where}: {error.strerror or error}"
            ) from error

    def _build_alone(self) -> Environment:
        self.layout.create()
        with guard(self.key, self.layout, self.progress):
            environment = self.existing()
            if environment is not None:
                return environment
            lock = load_lock(self.key, self.layout)
            if lock is None:
                lock, built = self._resolve_and_build()
                save_lock(lock, self.layout)
            else:  # it was removed from the cache: the same versions come again
                built = self._build(lock)
            environment = self._open(lock)
        if environment is None:
            raise PlatformError("a new environment vanished from the cache while it was opened: start again")
        return dataclasses.replace(environment, built=built)

    def _open(self, lock: Lock) -> Environment | None:
        notes = self.asked.notes
        for bound in lock.additions[len(ADDITIONS) :]:
            notes += (f"the platform takes {bound}: newer ones cannot be imported beside what is pinned",)
        return open_environment(lock, self.interpreter, self.layout, notes, default=self.asked.default)

    def _build(self, lock: Lock) -> bool:
        sandbox = self.sandbox
        if sandbox is None:
            from ..sandbox.select import select

            sandbox = select("auto")
        from .build import build

        return build(lock, self.interpreter, self.layout, sandbox, self.progress)

    def _resolve_and_build(self) -> tuple[Lock, bool]:
        """Return a lock whose environment could be imported.

        The resolver knows no upper bounds of pyarrow: the newest installs beside an old numpy and dies at
        import, so lower ones are tried until one can be imported.
        """
        from .verification import Unimportable

        lock = self._resolve(ADDITIONS)
        for _ in range(MOST_ATTEMPTS):
            try:
                return lock, self._build(lock)
            except Unimportable as failure:
                lock = self._with_older_arrow(lock, failure)
        raise DependencyError(
            f"no version of pyarrow from {lock.packages()['pyarrow']} up can be imported beside the versions "
            "pinned: pin pyarrow too, or pin newer versions of numpy and pandas"
        )

    def _with_older_arrow(self, lock: Lock, failure: Unimportable) -> Lock:
        if not failure.step.startswith("pyarrow"):
            raise failure
        major = lock.packages()["pyarrow"].split(".")[0]
        self.progress(f"pyarrow {major} cannot be imported beside the versions pinned: trying an older one")
        try:
            return self._resolve((*ADDITIONS, f"pyarrow<{major}"))
        except DependencyError:
            raise failure from None  # the submission's own pin is what fails

    def _resolve(self, additions: tuple[str, ...]) -> Lock:
        self.progress("resolving the requirements")
        text = resolved(self.asked, additions, self.interpreter, self.layout)
        return make_lock(self.key, text, self.interpreter, additions)
