"""What a run's result is a function of, and the digest that names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from opencrunch.materials import Materials
from opencrunch.resources import Version
from opencrunch.subject import Subject
from opencrunch.variables import HASH_SEED, thread_variables

ENGINE_SEMANTICS = 1  # raised only when the same run could give another result


def identify(subject: Subject, materials: Materials, start: Version) -> dict[str, Any]:
    """Return everything that bears on the result; `start` is the resources that it starts from."""
    split, store, embargo = subject.split, materials.store, subject.competition.embargo
    return {
        "engine_semantics": ENGINE_SEMANTICS,
        **known_early(subject),
        "environment": materials.environment.digest,
        "data": {
            "X": store.digest_until("X", split.last),
            "y": store.digest_until("y", split.last - embargo - 1),
        },
        "resources": start.digest,
        "hash_seed": HASH_SEED,
        "variables": thread_variables(),
    }


def known_early(subject: Subject) -> dict[str, Any]:
    """Return the part of a run's identity that needs nothing to be made."""
    return {
        "submission": subject.submission.digest,
        "competition": subject.competition.execution_digest(),
        "split": subject.options.split,
        "train_frequency": subject.train_frequency,
        "force_first_train": subject.forces_first_train,
        "gpu": subject.options.gpu,
    }


def digest(identity: Mapping[str, Any]) -> str:
    """Return the run's name: the SHA-256, in hex, of its identity as JSON."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
