"""The engine: the trusted side of a code competition."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("opencrunch")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
