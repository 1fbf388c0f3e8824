"""The record of a run: what ran, on what, with what, how long, how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import opencrunch
from opencrunch import identity
from opencrunch.errors import OpenCrunchError
from opencrunch.journal import Entry
from opencrunch.materials import Materials
from opencrunch.replay import Verdict
from opencrunch.session import Session
from opencrunch.subject import Subject

SCHEMA_VERSION = 1


@dataclass(kw_only=True)
class Findings:
    """What is known of a run so far; the record is made of it, however the run ends."""

    started: float = field(default_factory=time.time)
    materials: Materials | None = None
    identity: dict[str, Any] | None = None
    seed: int | None = None
    session: Session | None = None
    total: int = 0
    entries: list[Entry] = field(default_factory=list)
    verdict: Verdict | None = None
    scores: dict[str, Any] | None = None
    failure: OpenCrunchError | None = None


def make_record(subject: Subject, findings: Findings, prediction: Path | None) -> dict[str, Any]:
    """Return the record, JSON by docs/schemas/record.json; `prediction` is the file that was written."""
    failure, verdict, materials = findings.failure, findings.verdict, findings.materials
    return {
        "schema_version": SCHEMA_VERSION,
        "competition": subject.competition.name,
        "split": subject.options.split,
        "visibility": subject.split.visibility,
        "status": "failed" if failure is not None else "succeeded",
        "failure": failure.to_json() if failure is not None else None,
        "progress": {"done": len(findings.entries), "total": findings.total},
        "scores": findings.scores,
        "deterministic": verdict.deterministic if verdict else None,
        "determinism": verdict.to_json() if verdict else None,
        "prediction": str(prediction.absolute()) if prediction else None,
        "sandbox": _sandbox(materials),
        "environment": _environment(materials),
        "process": _process(findings.session),
        "timings": _timings(findings),
        "usage": _usage(findings.session),
        "warnings": materials.warnings if materials else [],
        "seed": findings.seed,
        "digests": _digests(subject, findings),
        "versions": {
            "opencrunch": opencrunch.__version__,
            "engine_semantics": identity.ENGINE_SEMANTICS,
        },
        "started_at": findings.started,
    }


def _sandbox(materials: Materials | None) -> dict[str, Any] | None:
    if materials is None:
        return None
    capabilities = materials.choice.capabilities
    return {
        "adapter": capabilities.adapter,
        "guards": dict(capabilities.guards),
        "absent": dict(capabilities.absent),
        "missing": list(materials.choice.missing),
    }


def _environment(materials: Materials | None) -> dict[str, Any] | None:
    if materials is None:
        return None
    environment = materials.environment
    return {
        "digest": environment.digest,
        "default": environment.default,
        "built": environment.built,
        "python": environment.python_version,
        "packages": dict(environment.packages),
    }


def _process(session: Session | None) -> dict[str, Any] | None:
    if session is None or session.loaded is None:
        return None
    return {"mode": "fork" if session.forks else "fresh", "reason": session.loaded.obstacle}


def _timings(findings: Findings) -> dict[str, Any]:
    made = dict(findings.materials.seconds) if findings.materials else {}
    started = dict(findings.session.timings) if findings.session else {}
    calls = [{"key": entry.key, **call} for entry in findings.entries for call in entry.calls]
    return {**made, **started, "calls": calls, "total": time.time() - findings.started}


def _usage(session: Session | None) -> dict[str, Any]:
    usage = session.usage() if session is not None else None
    return {
        "peak_memory": usage.peak_memory if usage else 0,
        "cpu": usage.cpu if usage else 0.0,
        "disk": usage.disk if usage else 0,
    }


def _digests(subject: Subject, findings: Findings) -> dict[str, Any]:
    known = findings.identity or {}
    return {
        "run": identity.digest(known) if known else None,
        "submission": subject.submission.digest,
        "environment": known.get("environment"),
        "data": known.get("data"),
        "competition": subject.competition.digest(),
        "resources": known.get("resources"),
    }
