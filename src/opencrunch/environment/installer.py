"""The one place that starts uv: resolving to a lock, and laying wheels down."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import DependencyError, PlatformError
from ..settings import index_environment
from .interpreter import Interpreter
from .requirements import OWN

TIME_LIMIT = 3600.0
LONGEST_REASON = 4000

# What may tell uv where packages come from. Anything else named UV_* could change what is installed,
# where, or start a program of the environment (UV_COMPILE_BYTECODE).
_KEPT = (
    "UV_CACHE_DIR",
    "UV_CONCURRENT_",
    "UV_DEFAULT_INDEX",
    "UV_EXCLUDE_NEWER",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_",
    "UV_INDEX",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_NO_INDEX",
    "UV_OFFLINE",
    "UV_REQUEST_",
    "UV_SYSTEM_CERTS",
)
_OF_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}
_PLACES = ("INDEX", "FIND_LINKS", "CACHE_DIR", "CERT", "PROXY", "HOME", "TMPDIR", "INSECURE_HOST")

# Words by which uv says, with the status of an unsolvable question, that it could not ask the index.
_UNASKED = re.compile(r"network was disabled|could not be queried")


def uv_executable() -> str:
    """Return the path of the uv that is installed beside this package."""
    from uv import find_uv_bin

    return find_uv_bin()


def resolve(
    lines: Sequence[str], interpreter: Interpreter, folder: Path, *, version: str | None = None
) -> str:
    """Return a lock: every distribution at one version, with hashes, wheels only.

    `version` resolves for another Python than the interpreter's. Raises DependencyError with the resolver's
    reason, PlatformError when the index cannot be asked.
    """
    wanted = folder / "wanted.txt"
    wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
    lock = folder / "lock.txt"
    arguments = ["pip", "compile", "--only-binary", ":all:", "--generate-hashes", "--no-header"]
    arguments += ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--upgrade"]
    for name in sorted(OWN):
        arguments += ["--no-emit-package", name]
    if version is not None:
        arguments += ["--python-version", version]
    _uv([*arguments, "--output-file", str(lock), str(wanted)], interpreter, folder)
    return lock.read_text(encoding="utf-8")


def install(lock: Path, target: Path, interpreter: Interpreter, folder: Path, *, held: int) -> None:
    """Lay the wheels of a lock down in a directory; nothing of them is started.

    `held` is a descriptor that uv inherits: a build that was killed counts as alive until its uv is gone too.
    """
    arguments = ["pip", "install", "--target", str(target), "--no-deps", "--require-hashes"]
    # Copies: a hard link would share its mode and its content with uv's own cache.
    arguments += ["--only-binary", ":all:", "--link-mode", "copy", "--no-compile-bytecode"]
    _uv([*arguments, "--requirements", str(lock)], interpreter, folder, held=(held,))


def _uv(arguments: list[str], interpreter: Interpreter, folder: Path, *, held: tuple[int, ...] = ()) -> None:
    environment = uv_environment(folder)
    options = ["--python", str(interpreter.executable), "--no-config", "--no-progress", "--quiet"]
    try:
        done = subprocess.run(
            [uv_executable(), *arguments, *options],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIME_LIMIT,
            pass_fds=held,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PlatformError(f"uv did not do its work: {type(error).__name__}") from error
    if done.returncode == 0:
        return
    reason = clean(done.stderr.decode(errors="replace"), environment, folder)
    if done.returncode == 1 and not _UNASKED.search(reason):
        raise DependencyError(reason)
    raise PlatformError(f"packages cannot be fetched from the index: {reason}")


def uv_environment(folder: Path) -> dict[str, str]:
    """Return the variables that uv is given: the operator's index settings, pip's where uv's are not set."""
    given = index_environment()
    kept = {
        name: value
        for name, value in given.items()
        if not name.startswith(("PIP_", "UV_")) or name.startswith(_KEPT)
    }
    for theirs, ours in _OF_PIP.items():
        if given.get(theirs) and ours not in kept:
            kept[ours] = given[theirs]
    kept.setdefault("HOME", str(folder))
    return kept | {"UV_NO_CONFIG": "1", "NO_COLOR": "1"}


def clean(text: str, environment: dict[str, str], folder: Path) -> str:
    """Return the resolver's words without colours, addresses, credentials and paths of this machine."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    text = re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s`'\")\]]+", "<address>", text)
    for secret in sorted(_secrets(environment, folder), key=len, reverse=True):
        text = text.replace(secret, "<hidden>")
    text = "".join(c for c in text if c.isprintable() or c == "\n")
    lines = [re.sub(r"^[^\w`'\"(<]*(?:(?:error|cause):\s*)?", "", line) for line in text.split("\n")]
    reason = "\n".join(line.rstrip() for line in lines if line.strip())
    return reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON] + " ..."


def _secrets(environment: dict[str, str], folder: Path) -> set[str]:
    found = {str(folder)}
    for name, value in environment.items():
        if not any(word in name.upper() for word in _PLACES):
            continue
        for place in re.split(r"[\s,]+", value):
            found.add(place)
            try:
                address = urlsplit(place.split("=", 1)[-1])
                parts = (address.username, address.password, address.netloc, address.hostname)
            except ValueError:
                continue
            found.update(part for part in parts if part)
    return {secret for secret in found if len(secret) > 3 and secret not in (os.sep, "true", "false")}
