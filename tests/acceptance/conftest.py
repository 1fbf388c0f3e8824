"""A tiny competition, and runs of small submissions on it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.competitions import make_tiny

from opencrunch.run import execute
from opencrunch.sandbox.select import select
from opencrunch.settings import cache_directory
from opencrunch.subject import Options

ADAPTERS = ("bubblewrap", "landlock", "process")

Record = dict[str, Any]


class Arena:
    """A competition in a temporary directory, and the runs made on it."""

    def __init__(self, root: Path, sandbox: str = "auto", **changes: Any) -> None:
        self.root = root
        self.sandbox = sandbox
        self.competition = make_tiny(root / "competition", **changes)
        self.count = 0

    def write(self, source: str, files: Mapping[str, str] | None = None) -> Path:
        """Return a submission of one main.py, and other files by name."""
        self.count += 1
        target = self.root / f"{self.count}-written"
        target.mkdir()
        (target / "main.py").write_text(source)
        for name, text in (files or {}).items():
            (target / name).parent.mkdir(exist_ok=True)
            (target / name).write_text(text)
        return target

    def run(self, submission: str | Path, **options: Any) -> Record:
        """Run a submission, given as its main.py's source or as a path, and return its record."""
        path = self.write(submission) if isinstance(submission, str) else submission
        self.count += 1
        self.out = options.pop("out", self.root / f"out-{self.count}")
        return execute(
            Options(
                submission=path,
                competition=self.competition,
                out=self.out,
                cache=cache_directory(),
                **{"sandbox": self.sandbox, "seed": 1, **options},
            )
        )

    def prediction(self) -> pd.DataFrame:
        """Return the prediction of the last run."""
        return pd.read_parquet(self.out / "prediction.parquet")

    def log(self) -> str:
        """Return the log of the last run."""
        text: str = (self.out / "log.txt").read_text()
        return text


def infer(body: str = "", value: str = "0.0", *, before: str = "", parameters: str = "X_test, moon") -> str:
    """Return a submission whose infer runs `body` and predicts the expression `value` in both columns."""
    lines = "\n".join(f"    {line}" for line in textwrap.dedent(body).strip().splitlines())
    return (
        f"import os, time\nimport numpy as np\nimport pandas as pd\n{textwrap.dedent(before)}\n"
        f"def train(): pass\n\n"
        f"def infer({parameters}):\n{lines}\n"
        f"    value = {value}\n"
        f'    return pd.DataFrame({{"id": X_test["id"], "moon": moon, "first": value, "guess": value}})\n'
    )


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    """Give a tiny competition in the strongest sandbox that the machine has."""
    return Arena(tmp_path)


@pytest.fixture(params=ADAPTERS)
def any_arena(request: pytest.FixtureRequest, tmp_path: Path) -> Arena:
    """Give a tiny competition in each sandbox that this machine offers."""
    capabilities = select(request.param).capabilities()
    if not capabilities.available:
        pytest.skip(f"{request.param}: {capabilities.reason}")
    return Arena(tmp_path, request.param)


MakeArena = Callable[..., Arena]


@pytest.fixture
def make_arena(tmp_path: Path) -> MakeArena:
    """Give a way to make a tiny competition with other settings."""
    return lambda **changes: Arena(tmp_path, **changes)
