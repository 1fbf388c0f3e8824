"""Looking ahead: a submission searches for later rows and embargoed targets in a real run.

The same submission with a release that holds everything is the control: there it finds them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from opencrunch.errors import CallError
from opencrunch.events import Silent
from opencrunch.log import Log
from opencrunch.materials import Materials, choose, gather
from opencrunch.predictions import check
from opencrunch.release import Release, Rows, release_directory
from opencrunch.resources import Resources
from opencrunch.session import Session
from opencrunch.staging import snapshot
from opencrunch.subject import Options, Subject, examine
from opencrunch.values import common_values
from opencrunch.variables import HASH_SEED

from . import looking_ahead
from .attack import Finding

MOONS, IDS, EMBARGO, TESTED = 12, 50, 2, 8
PLACES = looking_ahead.PLACES

Found = dict[str, dict[str, list[int]]]


def look_ahead(adapter: str, cache: Path, *, claimed: bool, reason: str) -> Iterator[Finding]:
    """Run the search in a sandbox, and without the guard, and yield a finding for each thing looked for."""
    if not claimed:
        for name, title, _, _, _ in _aims():
            yield _finding(name, title, "absent", reason, "not run", "")
        return
    with tempfile.TemporaryDirectory(prefix="opencrunch-future-") as directory:
        root = Path(directory)
        _write_competition(root / "competition")
        (root / "submission").mkdir()
        source = Path(looking_ahead.__file__).read_text()
        (root / "submission" / "main.py").write_text(source)
        subject = examine(
            Options(
                submission=root / "submission",
                competition=root / "competition",
                out=root / "out",
                cache=cache,
                sandbox=adapter,
            )
        )
        subject = snapshot(subject, root / "snapshot")
        materials = gather(subject, choose(subject), Silent())
        guarded = _search(subject, materials, root, Release)
        control = _search(subject, materials, root, Everything)
    for name, title, place, kind, function in _aims():
        ahead = _ahead(guarded[function], place, kind, function)
        searched = guarded[function][place]["features"]
        known = f"moons {searched[0]} to {searched[-1]} were found" if searched else "nothing was found"
        proven = bool(_ahead(control[function], place, kind, function))
        outcome = "broken" if ahead or not searched else "held"
        detail = f"found moons {ahead}" if ahead else known
        yield _finding(name, title, outcome, detail, "proven" if proven else "unproven",
                       "it finds them where all is released" if proven else "")  # fmt: skip


class Everything(Release):
    """A release without the guard: each table is there whole from the beginning."""

    def describe(self, rows: Rows, inside: str) -> dict[str, Any]:
        """Release all rows of all tables."""
        stop = int(self.store.offsets[-1])
        for table in ("X", "y"):
            super().describe(Rows(table=table, start=0, stop=stop, past=True), inside)
        return {"frame": rows.table, "directory": f"{inside}/past", "start": 0, "stop": stop}


def _aims() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the name and title of each thing that is looked for, its place and kind, and who looks."""
    for place in PLACES:
        for function in ("infer", "train"):
            title = f"Find later moons' rows in the {place} of {function}"
            yield f"later-rows-in-{place}-of-{function}", title, place, "features", function
        title = f"Find targets inside the embargo in the {place} of train"
        yield f"embargoed-targets-in-{place}", title, place, "targets", "train"
    title = "Find the targets of the moon being predicted in files"
    yield "targets-in-files-of-infer", title, "files", "targets", "infer"


def _ahead(found: Found, place: str, kind: str, function: str) -> list[int]:
    """Return the moons that were found and may not be known when the first test moon is processed."""
    limit = MOONS - TESTED
    if kind == "targets":
        return [moon for moon in found[place][kind] if moon >= limit - EMBARGO]
    # before infer of a moon the moon itself is not known either
    return [moon for moon in found[place][kind] if moon > limit or (moon == limit and function == "train")]


def _search(subject: Subject, materials: Materials, root: Path, release: type[Release]) -> dict[str, Found]:
    """Call train and infer of the first test moon and return what each found."""
    moon = MOONS - TESTED
    resources = Resources(root / f"objects-{release.__name__}", limit=1 << 20)
    start = resources.take(subject.submission.directory / "resources").version
    log = Log(root / "log.txt", budget=1 << 16)
    common = common_values(materials.columns, embargo=EMBARGO, gpu=False)
    with release_directory(materials.data_size, root) as directory:
        session = Session(
            materials.launch(subject, directory, hash_seed=HASH_SEED),
            release=release(materials.store, directory),
            resources=resources,
            version=start,
            log=log,
        )
        with session:
            rows = session.release
            expected = materials.layout.expected(moon)
            before = {
                "X_train": rows.before("X", moon - EMBARGO),
                "y_train": rows.before("y", moon - EMBARGO),
            }
            try:
                session.call("train", {**common, **before, "moon": moon}, key=moon, timeout=60,
                             accept=lambda result: None)  # fmt: skip
                outcome = session.call(
                    "infer",
                    {**common, "X_test": rows.at("X", moon), "moon": moon},
                    key=moon,
                    timeout=60,
                    limits=expected.limits,
                    accept=lambda result: check(result, expected),
                )
            except CallError as error:
                raise CallError(
                    f"the search itself failed: {error.message}", cause=error.cause, traceback=error.traceback
                ) from error
            log.close()
    return {
        function: json.loads(
            (resources.objects / outcome.resources.files[f"{function}.json"][0]).read_text()
        )["found"]
        for function in ("train", "infer")
    }


def _write_competition(directory: Path) -> None:
    import pandas as pd

    directory.mkdir()
    moons = np.repeat(np.arange(MOONS), IDS)
    keys = {"moon": moons, "id": np.tile(np.arange(IDS), MOONS)}
    targets = (looking_ahead.TARGET + moons).view(np.float64)
    pd.DataFrame({**keys, "mark": looking_ahead.FEATURE + moons}).to_parquet(directory / "X.parquet")
    pd.DataFrame({**keys, "target": targets}).to_parquet(directory / "y.parquet")
    first = MOONS - TESTED
    (directory / "competition.toml").write_text(
        f"""
name = "future"
title = "What may not be known"
format = "cross-sectional"
embargo = {EMBARGO}
[data]
X = "X.parquet"
y = "y.parquet"
[columns]
moon = "moon"
id = "id"
features = {{ default = ["mark"] }}
targets = {{ target = {{}} }}
[splits]
train = {{ first = 0, last = {first - 1} }}
local = {{ first = {first}, last = {MOONS - 1} }}
[[metrics]]
name = "rmse"
function = "rmse"
target = "target"
"""
    )


def _finding(name: str, title: str, outcome: str, detail: str, control: str, control_detail: str) -> Finding:
    return Finding(
        name=name,
        guard="future",
        title=title,
        outcome="held" if outcome == "held" else "absent" if outcome == "absent" else "broken",
        detail=detail,
        control="proven" if control == "proven" else "not run" if control == "not run" else "unproven",
        control_detail=control_detail,
    )
