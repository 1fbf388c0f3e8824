"""The runner's entry: `python -s -S -P __main__.py CONTROL`, a connected socket's descriptor."""

from __future__ import annotations

import os
import sys


def _arrange_path() -> str:
    """Make this package importable, last of all, and return the directory that holds it."""
    holder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path[:] = [entry for entry in sys.path if entry and not entry.startswith(holder)]
    sys.path.append(holder)
    return holder


def main() -> None:
    """Boot from the engine's first message, import the submission, serve calls until the engine goes."""
    holder = _arrange_path()
    import socket

    from crunch.runner import channel

    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    first = channel.receive(control)
    if first is None:
        return
    boot = first[0]
    # The standard library first while the runner imports what it needs itself; the submission after that.
    sys.path[-1:] = [*boot["site_packages"], holder]
    from crunch.runner.serve import Template

    Template(control, boot, holder).run()


if __name__ == "__main__":
    main()
