"""Who sees what of a run: what of the organiser's tree goes into the participant's.

The levels are `all` (everything), `scores` (the verdict and the scores) and `status` (the verdict). Below
`all` hidden data are in play, and nothing that a submission could have filled with them is handed on: only
what can be checked against the submission's own text.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from typing import Any, Literal

from opencrunch.submission.files import Submission

Visibility = Literal["all", "scores", "status"]

ARTEFACTS: dict[str, Visibility] = {
    "status, owner, cause, key, function": "status",
    "type and own lines of an exception": "status",
    "deterministic (yes or no)": "status",
    "progress (keys done, keys in all)": "status",
    "sandbox, environment, versions, digests": "status",
    "scores": "scores",
    "message": "all",
    "traceback": "all",
    "log": "all",
    "events": "all",
    "scores per key": "all",
    "determinism values": "all",
    "timings and usage": "all",
    "prediction": "all",
    "resources": "all",
    "record": "all",
}
"""Each artefact with the lowest level at which the participant sees it."""

_ALWAYS = (
    "schema_version", "competition", "split", "status", "progress", "deterministic", "sandbox",
    "environment", "digests", "versions", "seed", "visibility",
)  # fmt: skip


def sees_everything(level: Visibility) -> bool:
    """Return whether the participant gets the organiser's tree as it is."""
    return level == "all"


def participant_record(
    record: Mapping[str, Any], level: Visibility, submission: Submission | None
) -> dict[str, Any]:
    """Return the record as the participant sees it."""
    if sees_everything(level):
        return dict(record)
    shown = {name: record[name] for name in _ALWAYS if name in record}
    if record.get("failure"):
        shown["failure"] = _participant_failure(record["failure"], submission)
    if level == "scores":
        shown["scores"] = {
            name: {part: score[part] for part in ("value", "direction", "keys") if part in score}
            for name, score in (record.get("scores") or {}).items()
        }
    return shown


def _participant_failure(failure: Mapping[str, Any], submission: Submission | None) -> dict[str, Any]:
    details = failure.get("details") or {}
    words = _words(submission)
    own = [line for line in str(details.get("own_traceback", "")).splitlines() if _is_own(line, words)]
    own = own[-1:]  # one line number says little; a hundred, chosen by the submission, could carry data
    kind = details.get("type", "")
    named = kind if hasattr(builtins, kind) or kind in words else "an exception of another type"
    return {
        "owner": failure.get("owner"),
        "cause": failure.get("cause"),
        "key": failure.get("key"),
        "function": failure.get("function"),
        "message": f"{named if kind else failure.get('cause')}; its text is kept from you, for hidden "
        "data were in play. Run the same on the local split, where everything is shown.",
        "traceback": "\n".join(own) or None,
        "details": {"inputs": details.get("inputs", {})},
    }


_FRAME = re.compile(r"  (?P<file>[^,]+), line (?P<line>\d+), in (?P<function>\S+)")


def _is_own(line: str, words: frozenset[str]) -> bool:
    """Return whether a line speaks of a file, a line and a function that the submission has."""
    match = _FRAME.fullmatch(line)
    if match is None:
        return False
    function = match["function"]
    lines_end = f"{match['file']}:{int(match['line'])}"
    return lines_end in words and (function in words or function in ("<module>", "<lambda>"))


def _words(submission: Submission | None) -> frozenset[str]:
    """Return the identifiers of a submission's Python files, and `file:line` for each of their lines."""
    if submission is None:
        return frozenset()
    words: set[str] = set()
    for file in submission.code:
        if file.path.endswith(".py") and file.size < 10 << 20:
            text = file.source.read_text("utf-8", "replace")
            words.update(re.findall(r"[^\W\d]\w*", text))
            words.update(f"{file.path}:{number}" for number in range(1, text.count("\n") + 2))
    return frozenset(words)
