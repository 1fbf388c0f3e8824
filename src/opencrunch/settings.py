"""What the operator sets by the environment: the one module that reads it."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return where stores, environments and staged files are kept.

    `OPENCRUNCH_CACHE` names it; else root uses a place that unprivileged sandboxes can read, and others
    their own cache directory.
    """
    named = os.environ.get("OPENCRUNCH_CACHE")
    if named:
        return Path(named).absolute()
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/cache/opencrunch")
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "opencrunch"


def operator_variables(names: tuple[str, ...]) -> dict[str, str]:
    """Return those of the named variables that are set."""
    return {name: os.environ[name] for name in names if name in os.environ}


def index_environment() -> dict[str, str]:
    """Return the variables that tell uv where packages come from and how to reach it."""
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    wanted = ("UV_", "PIP_", "SSL_CERT", *proxies, *(name.lower() for name in proxies))
    kept = {name: value for name, value in os.environ.items() if name.startswith(wanted)}
    for name in ("PATH", "HOME", "LANG", "TMPDIR"):
        if name in os.environ:
            kept[name] = os.environ[name]
    return kept
