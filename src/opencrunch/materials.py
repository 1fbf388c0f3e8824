"""What a run needs beside its subject: made where it is not there yet, looked up where it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from crunch.columns import Columns
from opencrunch import environment as environments
from opencrunch.competition.build import prepare
from opencrunch.competition.store import Store
from opencrunch.environment import Environment
from opencrunch.errors import UsageError
from opencrunch.events import Face
from opencrunch.predictions import Layout
from opencrunch.sandbox.port import Capabilities, Limits, Sandbox
from opencrunch.sandbox.select import select
from opencrunch.staging import runner_directory
from opencrunch.subject import Subject
from opencrunch.template import Launch
from opencrunch.values import known_names
from opencrunch.variables import sandbox_variables


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The sandbox of a run, and which of the guards that its split wants it does not give."""

    sandbox: Sandbox
    capabilities: Capabilities
    missing: tuple[str, ...]

    @property
    def warning(self) -> str:
        """What the record should say of missing guards."""
        reasons = _reasons(self.capabilities, self.missing)
        return f"guards missing in the '{self.sandbox.name}' sandbox: {reasons}"


def choose(subject: Subject) -> Choice:
    """Choose the sandbox.

    Raises UsageError where it does not work here, and where a split with hidden data demands guards that it
    does not give.
    """
    sandbox = select(subject.options.sandbox)
    capabilities = sandbox.capabilities()
    if not capabilities.available:
        raise UsageError(f"the '{sandbox.name}' sandbox does not work here: {capabilities.reason}")
    missing = tuple(guard for guard in subject.split.guards if guard not in capabilities.guards)
    if missing and subject.split.hidden:
        raise UsageError(
            f"the split '{subject.options.split}' has hidden data and demands guards that the "
            f"'{sandbox.name}' sandbox does not give here: {_reasons(capabilities, missing)}"
        )
    return Choice(sandbox=sandbox, capabilities=capabilities, missing=missing)


@dataclass(frozen=True, kw_only=True)
class Materials:
    """The sandbox, the environment and the prepared data of a run."""

    choice: Choice
    environment: Environment
    store: Store
    columns: Columns
    layout: Layout
    seconds: dict[str, float]

    @property
    def warnings(self) -> list[str]:
        """What the record should say of them."""
        found = []
        if self.environment.default:
            found.append("there is no requirements.txt: the default packages were used")
        if self.choice.missing:
            found.append(self.choice.warning)
        return found

    @property
    def data_size(self) -> int:
        """The bytes of all rows, the most that can be released."""
        return sum(file.stat().st_size for file in self.store.path.glob("*.bin"))

    def launch(self, subject: Subject, release: Path, *, hash_seed: str) -> Launch:
        """Return how a runner is started that sees a release."""
        limits = subject.competition.limits
        return Launch(
            sandbox=self.choice.sandbox,
            environment=self.environment,
            submission=subject.submission,
            runner=runner_directory(subject.options.cache),
            release=release,
            limits=Limits(
                memory=limits.memory,
                tasks=limits.processes,
                disk=limits.disk,
                temporary=min(limits.disk, limits.memory),
            ),
            call_time=limits.call_time,
            names=known_names(self.columns),
            tables={name: self.store.table(name) for name in ("X", "y")},
            columns=self.columns,
            variables=sandbox_variables(hash_seed),
            gpu=subject.options.gpu,
        )


def gather(subject: Subject, choice: Choice, face: Face) -> Materials:
    """Make the environment and the prepared data, or find those that are there.

    Raises DependencyError where the submission's requirements cannot be installed, CompetitionError where the
    data break a rule.
    """
    options, competition = subject.options, subject.competition
    seconds: dict[str, float] = {}
    face.stage("environment")
    started = time.monotonic()
    environment = environments.ensure(
        subject.submission.requirements,
        python=competition.python,
        cache=options.cache,
        progress=face.line,
        sandbox=choice.sandbox,
    )
    seconds["environment"] = time.monotonic() - started
    face.stage("data")
    started = time.monotonic()
    store = prepare(competition, options.cache)
    seconds["data"] = time.monotonic() - started
    columns = _columns(subject, store)
    return Materials(
        choice=choice,
        environment=environment,
        store=store,
        columns=columns,
        layout=Layout(
            store=store,
            moon_column=competition.columns.moon,
            id_column=competition.columns.id,
            prediction_columns=tuple(columns.prediction_column_names),
        ),
        seconds=seconds,
    )


def _reasons(capabilities: Capabilities, guards: tuple[str, ...]) -> str:
    absent = {str(guard): reason for guard, reason in capabilities.absent.items()}
    return "; ".join(f"{guard} ({absent.get(guard, 'not given')})" for guard in guards)


def _columns(subject: Subject, store: Store) -> Columns:
    columns = subject.competition.columns
    return Columns(
        moon=columns.moon,
        id=columns.id,
        targets={name: target.input for name, target in columns.targets.items()},
        predictions={name: target.output for name, target in columns.targets.items()},
        features=columns.resolve([column["name"] for column in store.table("X")["columns"]]),
    )
