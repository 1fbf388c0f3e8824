"""The benchmark command: it measures against a baseline of the same run. How fast it is, no test asserts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_benchmark_prints_its_ratio_to_the_baseline() -> None:
    done = benchmarks("G", "--scale", "1", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    seconds = {case["name"]: case["seconds"] for case in result["cases"]}
    (bound,) = [case for case in result["cases"] if case["baseline"]]
    assert bound["ratio"] == seconds[bound["name"]] / seconds[bound["baseline"]]


def test_an_unknown_benchmark_names_those_that_there_are() -> None:
    done = benchmarks("Q")
    assert done.returncode == 2
    assert "parameters" in done.stderr
