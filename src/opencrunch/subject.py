"""What a run is about: the options, the competition, its split, the submission."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opencrunch.competition.file import Competition, Split, load
from opencrunch.errors import UsageError
from opencrunch.submission.files import Submission, read_submission


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run is asked for."""

    submission: Path
    competition: Path
    out: Path
    cache: Path
    split: str = "local"
    sandbox: str = "auto"
    train_frequency: int | None = None
    force_first_train: bool = False
    determinism: bool = True
    gpu: bool = False
    seed: int | None = None
    resume: bool = False


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The options and what they name, read and valid."""

    options: Options
    competition: Competition
    split: Split
    submission: Submission

    @property
    def train_frequency(self) -> int:
        """The frequency that counts: the option's, else the competition's."""
        asked = self.options.train_frequency
        return self.competition.train_frequency if asked is None else asked

    @property
    def forces_first_train(self) -> bool:
        """Whether the first moon trains though resources holds a model."""
        return self.options.force_first_train or self.competition.first_train == "always"


def examine(options: Options) -> Subject:
    """Read what the options name; nothing is written.

    Raises CompetitionError, SubmissionError, or UsageError for options that do not fit the competition.
    """
    competition = load(options.competition)
    if options.split not in competition.splits or options.split == "train":
        choices = ", ".join(name for name in competition.splits if name != "train")
        raise UsageError(
            f"'{options.split}' is no split of '{competition.name}' to run on; there are: {choices}"
        )
    if options.gpu and not competition.gpu:
        raise UsageError(f"--gpu was given, and the competition '{competition.name}' has gpu = false")
    limits = competition.limits
    return Subject(
        options=options,
        competition=competition,
        split=competition.splits[options.split],
        submission=read_submission(
            options.submission, code_limit=limits.code, resources_limit=limits.resources
        ),
    )
