"""The command: which benchmark, at which scale, printed how."""

from __future__ import annotations

import argparse
import json
from importlib import import_module

from benchmarks.measure import Result

MODULES = {
    "C": "loop",
    "D": "training",
    "E": "moons",
    "G": "parameters",
    "H": "environments",
    "I": "startup",
    "Y": "layout",
}
"""The benchmarks by letter; a module has `run(scale) -> Result`."""

SCALES = (1, 4, 16)


def main() -> None:
    """Run the benchmarks that the command line names, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [*MODULES, *MODULES.values(), "all"]
    parser.add_argument("name", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--scale", type=int, choices=SCALES, help="the size; by default each of them")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args()
    chosen = MODULES.values() if arguments.name == "all" else [MODULES.get(arguments.name, arguments.name)]
    for module in chosen:
        for scale in [arguments.scale] if arguments.scale else SCALES:
            result = import_module(f"benchmarks.{module}").run(scale)
            print(json.dumps(result.to_json()) if arguments.json else _text(result), flush=True)


def _text(result: Result) -> str:
    lines = [f"{result.benchmark} x{result.scale}: {result.workload}"]
    width = max(len(case.name) for case in result.cases)
    for case in result.cases:
        line = f"  {case.name:<{width}}  {_duration(case.seconds):>9} per {result.unit}"
        if case.ratio is not None:
            line += f"  {case.ratio:.2f} x {case.baseline}"
        lines.append(f"{line}  ({case.note})" if case.note else line)
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1.0:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


if __name__ == "__main__":
    main()
