"""One run: materials, the format's calls, the determinism check, scores, the record."""

from __future__ import annotations

import secrets
import shutil
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from opencrunch import identity
from opencrunch.clock import Clock
from opencrunch.context import Context
from opencrunch.errors import CompetitionError, OpenCrunchError, PlatformError, UsageError
from opencrunch.events import Events, Face, Silent
from opencrunch.formats import find
from opencrunch.journal import Journal
from opencrunch.log import Log
from opencrunch.materials import Choice, Materials, choose, gather
from opencrunch.output import Output
from opencrunch.record import Findings, make_record
from opencrunch.release import Release, release_directory
from opencrunch.replay import replay
from opencrunch.resources import Resources, Version
from opencrunch.schedule import Step, gaps, plan
from opencrunch.scores import score
from opencrunch.session import Session
from opencrunch.staging import snapshot
from opencrunch.subject import Options, Subject, examine
from opencrunch.values import common_values
from opencrunch.variables import HASH_SEED
from opencrunch.visibility import participant_record, sees_everything

PREDICTION, PARTIAL = "prediction.parquet", "prediction.partial.parquet"


def execute(options: Options, face: Face | None = None) -> dict[str, Any]:
    """Do one run and return its record, which is written to `out` too.

    What fails once the run has begun is in the record; before that, UsageError, CompetitionError or
    SubmissionError is raised. KeyboardInterrupt leaves a state that `resume` continues.
    """
    subject = examine(options)
    choice = choose(subject)
    face = face or Silent()
    with ExitStack() as stack:
        output = Output(options.out)
        output.open(resume=options.resume)
        stack.callback(output.close)
        events = Events(output.path / "events.jsonl")
        stack.callback(events.close)
        journal = Journal(output.work / "journal.db")
        stack.callback(journal.close)
        log = Log(output.path / "log.txt", budget=subject.competition.limits.log, echo=face.line)
        stack.callback(log.close)
        return _Run(subject, choice, output, journal, events, log, face).execute()


class _Run:
    def __init__(
        self,
        subject: Subject,
        choice: Choice,
        output: Output,
        journal: Journal,
        events: Events,
        log: Log,
        face: Face,
    ) -> None:
        self.subject = subject
        self.choice = choice
        self.output = output
        self.journal = journal
        self.events = events
        self.log = log
        self.face = face
        self.findings = Findings()
        self.clock = Clock(subject.competition.limits.run_time)
        self.resources = Resources(output.work / "objects", limit=subject.competition.limits.resources)

    def execute(self) -> dict[str, Any]:
        """Go through the phases and write what the run leaves."""
        try:
            self._go()
        except KeyboardInterrupt:
            self._remember_time()
            self.events.write("interrupted")
            raise
        except UsageError:
            raise  # nothing was run, and what another run left here stays as it is
        except OpenCrunchError as error:
            if self.subject.options.resume and self.findings.identity is None:
                raise  # what is there stays as it is
            self.findings.failure = error
            self.log.note(f"the run failed: {error.message}")
        except OSError as error:
            self.findings.failure = PlatformError(f"the machine refused: {error}", cause="disk")
            self.log.note(traceback.format_exc())
        except Exception as error:
            self.findings.failure = PlatformError(
                f"the engine itself failed ({type(error).__name__}: {error}); the log has the traceback",
                cause="internal",
            )
            self.log.note(traceback.format_exc())
        self._remember_time()
        return self._conclude()

    def _remember_time(self) -> None:
        """Keep what was used of the run's time, so that a resumed run has only the rest."""
        self.journal.set("seconds", self.clock.used())

    def _go(self) -> None:
        self.journal.refuse_another(identity.known_early(self.subject))
        self.clock = Clock(
            self.subject.competition.limits.run_time, already=float(self.journal.get("seconds", 0.0))
        )
        self.subject = snapshot(self.subject, self.output.work / "submissions")
        self.findings.materials = materials = gather(self.subject, self.choice, self.face)
        with materials.environment.hold():
            self._run(materials)

    def _run(self, materials: Materials) -> None:
        start = self.resources.take(self.subject.submission.directory / "resources").version
        self._identify(materials, start)
        steps = self._plan(materials, start)
        self.findings.entries = list(self.journal.entries())
        self.findings.total = len(steps)
        done = len(self.findings.entries)
        self.events.write("started", keys=len(steps), done=done)
        competition = self.subject.competition
        common = common_values(materials.columns, embargo=competition.embargo, gpu=self.subject.options.gpu)
        if done < len(steps):
            self._call(materials, steps, start, common)
        self._write_resources(self._version(start))
        if self.subject.options.determinism:
            self.face.stage("determinism")
            self._replay(materials, steps, common)
        self.face.stage("scores")
        self._score(materials)

    def _identify(self, materials: Materials, start: Version) -> None:
        self.findings.identity = known = identity.identify(self.subject, materials, start)
        self.journal.identify(known)
        self.journal.add_version(start)
        seed = self.journal.get("seed")
        if seed is None:
            asked = self.subject.options.seed
            seed = secrets.randbits(32) if asked is None else asked
            self.journal.set("seed", seed)
        self.findings.seed = int(seed)

    def _plan(self, materials: Materials, start: Version) -> tuple[Step, ...]:
        split = self.subject.split
        moons = [int(moon) for moon in materials.store.moons]
        for first, last in gaps(moons, first=split.first, last=split.last)[:20]:
            what = f"moon {first} has" if first == last else f"moons {first} to {last} have"
            self.log.note(f"{what} no rows and no prediction")
        steps = plan(
            moons,
            first=split.first,
            last=split.last,
            train_frequency=self.subject.train_frequency,
            force_first_train=self.subject.forces_first_train,
            resources_empty=start.is_empty,
        )
        if not steps:
            name = self.subject.options.split
            raise CompetitionError(f"no moon of the split '{name}' has rows", key=f"splits.{name}")
        return steps

    def _call(
        self, materials: Materials, steps: tuple[Step, ...], start: Version, common: Mapping[str, Any]
    ) -> None:
        """Let the format call the submission for every key that is not done yet."""
        entries = self.findings.entries
        version = self._version(start)
        self.face.stage("running")
        with release_directory(materials.data_size, self.subject.options.cache / "releases") as directory:
            session = self.findings.session = Session(
                materials.launch(self.subject, directory, hash_seed=HASH_SEED),
                release=Release(materials.store, directory),
                resources=self.resources,
                version=version,
                log=self.log,
                beat=self.face.beat,
            )
            context = Context(
                steps=steps,
                embargo=self.subject.competition.embargo,
                layout=materials.layout,
                session=session,
                common=common,
                journal=self.journal,
                events=self.events,
                face=self.face,
                clock=self.clock,
                done=frozenset(entry.key for entry in entries),
            )
            try:
                with session:
                    find(self.subject.competition.format)(context)
            finally:
                self.findings.entries = list(self.journal.entries())
                self._write_resources(session.version)

    def _version(self, start: Version) -> Version:
        """Return the resources that the last key that was done left."""
        entries = self.findings.entries
        return self.journal.version(entries[-1].resources_after) if entries else start

    def _replay(self, materials: Materials, steps: tuple[Step, ...], common: Mapping[str, Any]) -> None:
        assert self.findings.seed is not None
        self.findings.verdict = replay(
            self.subject,
            materials,
            steps=steps,
            journal=self.journal,
            resources=self.resources,
            common=common,
            seed=self.findings.seed,
            log=self.log,
            face=self.face,
        )

    def _score(self, materials: Materials) -> None:
        competition, split, store = self.subject.competition, self.subject.split, materials.store
        prediction = materials.layout.assemble(self.findings.entries)
        self.output.write_parquet(PREDICTION, prediction)
        self.output.remove(PARTIAL)
        targets = dict.fromkeys(target.input for target in competition.columns.targets.values())
        names = (competition.columns.moon, competition.columns.id, *targets)
        scores = score(
            prediction,
            store.frame("y", store.rows(split.first, split.last), names),
            columns=competition.columns,
            metrics=competition.metrics,
            directory=competition.directory,
        )
        self.findings.scores = scores.to_json()

    def _write_resources(self, version: Version) -> None:
        fresh = self.output.work / "resources.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        self.resources.put(version, fresh)
        self.output.replace_directory("resources", fresh)

    def _conclude(self) -> dict[str, Any]:
        """Write the record, what there is of the prediction, and the participant's tree."""
        self.log.finish()
        record = make_record(self.subject, self.findings, self._prediction_file())
        self.output.write_json("record.json", record)
        self.events.write("ended", status=record["status"])
        level = self.subject.split.visibility
        everything = (PREDICTION, PARTIAL, "resources", "log.txt", "events.jsonl")
        shown = participant_record(record, level, self.subject.submission)
        self.output.share(shown, everything if sees_everything(level) else ())
        return record

    def _prediction_file(self) -> Path | None:
        """Return the file of the prediction; of a failed run that of the keys that were done."""
        findings = self.findings
        if findings.failure is None:
            return self.output.path / PREDICTION
        if findings.identity is None:
            return None
        self.output.remove(PREDICTION)
        if not findings.entries or findings.materials is None:
            return None
        partial: pd.DataFrame = findings.materials.layout.assemble(findings.entries)
        self.output.write_parquet(PARTIAL, partial)
        return self.output.path / PARTIAL
