"""Every failure has an owner, a stable cause and an exit status.

OpenCrunchError
├── UsageError              user         2  a wrong argument
├── OrganiserError          organiser    2  the competition or its data are at fault
│   └── CompetitionError                    ... with the file and the key
├── ParticipantError        participant  1  the submission is at fault
│   ├── DependencyError                     what it needs cannot be installed
│   └── CallError                           a call of train or infer, or the import, failed
└── PlatformError           platform     3  the machine or the engine is at fault
"""

from __future__ import annotations

from typing import Any, ClassVar

MESSAGE_LIMIT = 8000  # characters; a submission may have filled it


class OpenCrunchError(Exception):
    """The root of all errors that the engine raises on purpose."""

    owner: ClassVar[str] = "platform"
    exit_status: ClassVar[int] = 3
    cause: str = "internal"

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.message = message if len(message) <= MESSAGE_LIMIT else f"{message[:MESSAGE_LIMIT]} ..."
        if cause is not None:
            self.cause = cause

    def to_json(self) -> dict[str, Any]:
        """Return what the run's record keeps of the error."""
        return {"owner": self.owner, "cause": self.cause, "message": self.message}


class UsageError(OpenCrunchError):
    """A command or a function was given something that it cannot use."""

    owner = "user"
    exit_status = 2
    cause = "usage"


class OrganiserError(OpenCrunchError):
    """The competition, its data or its own code is at fault."""

    owner = "organiser"
    exit_status = 2
    cause = "competition"


class CompetitionError(OrganiserError):
    """A competition's file or data break a rule; carries the file and the key at fault."""

    def __init__(self, message: str, *, file: str | None = None, key: str | None = None) -> None:
        place = ": ".join(part for part in (file, key) if part)
        super().__init__(f"{place}: {message}" if place else message)
        self.file = file
        self.key = key


class ParticipantError(OpenCrunchError):
    """The submission is at fault."""

    owner = "participant"
    exit_status = 1
    cause = "submission"


class DependencyError(ParticipantError):
    """What the submission requires cannot be resolved or installed."""

    cause = "dependency"


class CallError(ParticipantError):
    """One call of the submission, or its import, did not succeed.

    `cause` is one of the codes in docs/record.md; `key` is the moon being processed (None at import).
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str,
        function: str | None = None,
        key: int | str | None = None,
        traceback: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, cause=cause)
        self.function = function
        self.key = key
        self.traceback = traceback
        self.details = details or {}

    def to_json(self) -> dict[str, Any]:
        """Return what the run's record keeps of the error."""
        return {
            **super().to_json(),
            "function": self.function,
            "key": self.key,
            "traceback": self.traceback,
            "details": self.details,
        }


class PlatformError(OpenCrunchError):
    """The machine or the engine is at fault; nothing that a sandbox can cause."""

    owner = "platform"
    exit_status = 3
    cause = "platform"
