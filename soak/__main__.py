"""`python -m soak kills [--count N]`: prints dated results; the last ones are kept in docs/soak.md."""

from __future__ import annotations

import argparse
import platform
import time

from soak import kills


def main() -> None:
    """Run a proof and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("name", choices=["kills"])
    parser.add_argument("--count", type=int, default=200, help="how often [default: 200]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments that are chosen [default: 0]")
    arguments = parser.parse_args()
    started = time.monotonic()
    result = kills.run(arguments.count, arguments.seed)
    where = f"{platform.machine()}, Python {platform.python_version()}"
    seconds = time.monotonic() - started
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {where}: {result}, {seconds:.0f} s")
    raise SystemExit(0 if result.failures == 0 else 1)


if __name__ == "__main__":
    main()
