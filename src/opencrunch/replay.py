"""The determinism check at work: a sample of the predictions made again in a sandbox of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from opencrunch.clock import Clock
from opencrunch.determinism import Difference, compare, draw
from opencrunch.errors import CallError
from opencrunch.events import Face
from opencrunch.journal import Entry, Journal
from opencrunch.log import Log
from opencrunch.materials import Materials
from opencrunch.predictions import check
from opencrunch.release import Release, release_directory
from opencrunch.resources import Resources
from opencrunch.schedule import Step
from opencrunch.session import Session
from opencrunch.subject import Subject


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the check found: the keys that were repeated, and the first difference or failure."""

    repeated: tuple[int, ...]
    seed: int
    difference: Difference | None = None
    failure: dict[str, Any] | None = None

    @property
    def deterministic(self) -> bool:
        """Whether everything that was repeated was the same."""
        return self.difference is None and self.failure is None

    def to_json(self) -> dict[str, Any]:
        """Return what the record keeps."""
        difference = asdict(self.difference) if self.difference else None
        return {"repeated": list(self.repeated), "seed": self.seed, "difference": difference,
                "failure": self.failure}  # fmt: skip


def replay(
    subject: Subject,
    materials: Materials,
    *,
    steps: Sequence[Step],
    journal: Journal,
    resources: Resources,
    common: Mapping[str, Any],
    seed: int,
    log: Log,
    face: Face,
) -> Verdict:
    """Repeat a sample of the predictions: same rows, resources and parameters, another process and hash seed.

    Only `infer` is repeated, each time from the resources that it started from.
    """
    limits = subject.competition.limits
    drawn = draw([step.moon for step in steps], seed=seed)
    trained = {step.moon: step.trains for step in steps}
    entries = {entry.key: entry for entry in journal.entries() if entry.key in drawn}
    log.note(f"the determinism check repeats {len(drawn)} of {len(steps)} predictions (seed {seed})")
    clock = Clock(min(limits.run_time, limits.call_time * (1 + len(drawn))))  # its own: the run's is used up
    with release_directory(materials.data_size, subject.options.cache / "releases") as directory:
        session = Session(
            materials.launch(subject, directory, hash_seed=str(1 + seed % 4_000_000)),
            release=Release(materials.store, directory),
            resources=resources,
            version=journal.version(entries[drawn[0]].resources_before),
            log=log,
            beat=face.beat,
            repeats=True,
        )
        with session:
            for position, moon in enumerate(drawn):
                face.progress(moon, "infer again", done=position, total=len(drawn))
                try:
                    difference = _repeat(
                        session, materials, entries[moon], journal, common, clock, trained[moon]
                    )
                except CallError as error:
                    failure = {"key": moon, "cause": error.cause, "message": error.message}
                    return Verdict(repeated=drawn, seed=seed, failure=failure)
                if difference is not None:
                    return Verdict(repeated=drawn, seed=seed, difference=difference)
    return Verdict(repeated=drawn, seed=seed)


def _repeat(
    session: Session,
    materials: Materials,
    entry: Entry,
    journal: Journal,
    common: Mapping[str, Any],
    clock: Clock,
    has_trained: bool,
) -> Difference | None:
    session.put_resources(journal.version(entry.resources_before))
    expected = materials.layout.expected(entry.key)
    values = {**common, "X_test": session.release.at("X", entry.key), "moon": entry.key,
              "has_trained": has_trained}  # fmt: skip
    outcome = session.call(
        "infer",
        values,
        key=entry.key,
        timeout=clock.left(),
        limits=expected.limits,
        accept=lambda result: check(result, expected),
    )
    return compare(
        entry.prediction,
        outcome.value,
        key=entry.key,
        ids=expected.ids.tolist(),
        columns=expected.prediction_columns,
    )
