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
class Materials:
    """The sandbox, the environment and the prepared data of a run."""

    sandbox: Sandbox
    capabilities: Capabilities
    missing_guards: tuple[str, ...]
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
        if self.missing_guards:
            reasons = _reasons(self.capabilities, self.missing_guards)
            found.append(f"guards missing in the '{self.capabilities.adapter}' sandbox: {reasons}")
        return found

    @property
    def data_size(self) -> int:
        """The bytes of all rows, the most that can be released."""
        return sum(file.stat().st_size for file in self.store.path.glob("*.bin"))

    def launch(self, subject: Subject, release: Path, *, hash_seed: str) -> Launch:
        """Return how a runner is started that sees a release."""
        limits = subject.competition.limits
        return Launch(
            sandbox=self.sandbox,
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


def gather(subject: Subject, face: Face) -> Materials:
    """Choose the sandbox, make the environment and the prepared data.

    Raises UsageError where the split demands guards that the sandbox does not give, DependencyError where the
    submission's requirements cannot be installed, CompetitionError where the data break a rule.
    """
    options, competition = subject.options, subject.competition
    sandbox = select(options.sandbox)
    capabilities = sandbox.capabilities()
    missing = _check_guards(subject, capabilities)
    seconds: dict[str, float] = {}
    face.stage("environment")
    started = time.monotonic()
    environment = environments.ensure(
        subject.submission.requirements, python=competition.python, cache=options.cache, progress=face.line
    )
    seconds["environment"] = time.monotonic() - started
    face.stage("data")
    started = time.monotonic()
    store = prepare(competition, options.cache)
    seconds["data"] = time.monotonic() - started
    columns = _columns(subject, store)
    return Materials(
        sandbox=sandbox,
        capabilities=capabilities,
        missing_guards=missing,
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


def _check_guards(subject: Subject, capabilities: Capabilities) -> tuple[str, ...]:
    if not capabilities.available:
        raise UsageError(f"the '{capabilities.adapter}' sandbox does not work here: {capabilities.reason}")
    missing = tuple(guard for guard in subject.split.guards if guard not in capabilities.guards)
    if missing and subject.split.hidden:
        raise UsageError(
            f"the split '{subject.options.split}' has hidden data and demands guards that the "
            f"'{capabilities.adapter}' sandbox does not give here: {_reasons(capabilities, missing)}"
        )
    return missing


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
