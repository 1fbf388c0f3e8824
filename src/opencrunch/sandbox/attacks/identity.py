"""Attacks on identity: being, or becoming, the host's root."""

from __future__ import annotations

from .attack import HIDDEN, attack
from .inside import Given, attempt, os, re, reached, read, spawn, subprocess, time, word_of
from .scene import Scene


def _runs_as_root(scene: Scene, word: str) -> str:
    """Look from outside whether a process of the sandbox has the host's uid 0."""
    if word != "running":
        return word
    users = set()
    for pid in scene.processes():
        users |= scene.users_of(pid)
    return "succeeded" if 0 in users else "unprivileged" if users else "error: no process seen"


@attack("identity", {"unprivileged"}, control="root", look=_runs_as_root)
def run_as_root(given: Given) -> str:
    """Run, with a child, under the host's uid 0, whatever uid is shown inside."""
    spawn()
    return "running"


@attack("identity", {"EPERM", "EINVAL"}, control="root")
def become_root(given: Given) -> str:
    """Take uid 0 and group 0 by setresuid and setresgid, and other groups by setgroups."""
    return reached(
        [
            attempt(lambda: os.setresgid(0, 0, 0)),
            attempt(lambda: os.setgroups([0])),
            attempt(lambda: os.setresuid(0, 0, 0)),
        ]
    )


@attack("identity", HIDDEN | {"no-gain", "EINVAL"})
def gain_root_by_setuid_program(given: Given) -> str:
    """Run programs that are owned by root and marked setuid."""

    def run(command: list[str]) -> str:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        word = "no-gain"
        for _ in range(20):
            status = read(f"/proc/{process.pid}/status").decode()
            if re.search(r"^Uid:\s+\d+\s+0\s", status, re.MULTILINE) and os.getuid() != 0:
                word = "succeeded"
            time.sleep(0.01)
        attempt(process.kill)
        return word

    words = []
    for command in given["setuid"]:
        try:
            words.append(
                run(
                    [given["mount"] + command[0][6:], *command[1:]]
                    if command[0].startswith("mount:")
                    else command
                )
            )
        except OSError as error:
            words.append(word_of(error))
    return reached(words)
