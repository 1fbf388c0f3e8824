"""H: an environment that exists already, and how soon a run's first line comes."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Result, against, take_turns
from opencrunch.environment import ensure
from opencrunch.settings import cache_directory

_LINE = "the submission speaks"


def run(scale: int) -> Result:
    """Measure a look-up among `scale` requirement lines, against what pip needs to see that all is there."""
    with tempfile.TemporaryDirectory(prefix="opencrunch-bench-") as name:
        requirements = Path(name) / "requirements.txt"
        lines = ["numpy", *(f"six>=1.{number}" for number in range(scale - 1))]
        requirements.write_text("\n".join(lines))
        cache = cache_directory()
        ensure(requirements, python=None, cache=cache)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "numpy"]
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
            pip = [
                sys.executable,
                "-m",
                "uv",
                "pip",
                "install",
                "--quiet",
                "--python",
                sys.executable,
                "numpy",
            ]
        work = {
            "installer that finds all there": lambda: subprocess.run(pip, check=True, capture_output=True),
            "engine's look-up": lambda: ensure(requirements, python=None, cache=cache),
            "first line of a run": lambda: _first_line(Path(name)),
        }
        seconds = take_turns(work, rounds=3)
    return Result(
        benchmark="environments",
        scale=scale,
        workload=f"{scale} requirement lines, the environment is there",
        unit="run",
        cases=against(seconds, {"engine's look-up": "installer that finds all there"}),
    )


def _first_line(root: Path) -> None:
    """Start `crunch run` on the bundled example and wait until the submission's first line is there."""
    submission = root / "submission"
    submission.mkdir(exist_ok=True)
    (submission / "main.py").write_text(f"print({_LINE!r})\ndef infer(X_test): pass\ndef train(): pass\n")
    out = root / f"out-{time.monotonic_ns()}"
    example = Path(__file__).parents[1] / "examples" / "sp500"
    command = [
        sys.executable, "-m", "opencrunch.cli", "run", str(submission), "--competition", str(example),
        "--out", str(out),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        seen = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stderr, selectors.EVENT_READ)
            while _LINE.encode() not in seen:
                selector.select()
                part = os.read(process.stderr.fileno(), 1 << 16)
                if not part:
                    raise SystemExit(f"the run ended without its line: {seen.decode()}")
                seen += part
        process.kill()
