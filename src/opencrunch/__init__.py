"""The engine: the trusted side of a code competition."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    if name == "__version__":  # looked up when it is asked for: reading the metadata costs 20 ms
        from importlib.metadata import version

        return version("opencrunch")
    raise AttributeError(f"module 'opencrunch' has no attribute '{name}'")
