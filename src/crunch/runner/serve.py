"""The template process: imports the submission once, then forks a child for each call."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import socket
import sys
import threading
import time
from types import ModuleType
from typing import Any

import crunch.runner.frames  # all that a call needs is imported here, before the submission can shadow it
import crunch.runner.results  # noqa: F401
from crunch.columns import Columns
from crunch.parameters import Binding, SignatureError, resolve
from crunch.runner import channel, failures
from crunch.runner.call import serve_call
from crunch.runner.files import OpenFile, open_files
from crunch.runner.fork import fork_obstacle
from crunch.runner.load import import_main, prepare_interpreter
from crunch.runner.seeds import Seeds


class Template:
    """Serves the engine's requests over the control socket."""

    def __init__(self, control: socket.socket, boot: dict[str, Any], holder: str) -> None:
        self.control = control
        self.boot = boot
        self.holder = holder
        self.directory = os.getcwd()
        self.main: ModuleType | None = None
        self.bindings: dict[str, Binding] = {}
        self.seeds = Seeds()
        self.columns = Columns.from_json(boot["columns"])
        self.children: dict[int, int] = {}
        self.ended: dict[int, int | None] = {}
        self.files: list[OpenFile] = []

    def run(self) -> None:
        """Announce, import when told to, then fork when told to."""
        faulthandler.enable()
        prepare_interpreter(self.directory, self.boot["site_packages"], self.holder)
        channel.send(self.control, {"op": "started"})
        while (message := channel.receive(self.control)) is not None:
            header, sockets = message
            if header["op"] == "import":
                self._import()
            elif header["op"] == "fork":
                self._fork(header["id"], sockets[0])
            elif header["op"] == "serve":
                self._serve(sockets[0], stay=True)
            elif header["op"] == "wait":
                self._wait(header["id"])

    def _import(self) -> None:
        threads, files = threading.active_count(), open_files()
        started = time.perf_counter()
        try:
            with self.seeds:
                self.main = import_main(os.path.join(self.directory, self.boot["main"]), self.boot["names"])
            functions = {name: self._bind(name) for name in self.boot["names"]}
            obstacle = fork_obstacle(threads)
        except BaseException as error:
            described = failures.describe(error, own=self.directory, runner=self.holder)
            channel.send(self.control, {"op": "failed", **described})
            return
        seconds = time.perf_counter() - started
        callables = sorted(
            name
            for name, value in vars(self.main).items()
            if callable(value) and getattr(value, "__module__", None) == self.main.__name__
        )
        self.files = [file for file in open_files() if file not in files]
        gc.collect()
        gc.freeze()  # so that the children's collections do not touch, and copy, the parent's pages
        channel.send(
            self.control,
            {
                "op": "loaded",
                "functions": functions,
                "callables": callables[:50],
                "seconds": seconds,
                "fork_obstacle": obstacle,
            },
        )

    def _bind(self, name: str) -> dict[str, Any] | None:
        function = getattr(self.main, name, None)
        if function is None:
            return None
        if not callable(function):
            return {"unusable": f"is a {type(function).__name__}, not a function"}
        try:
            binding = resolve(function, frozenset(self.boot["names"][name]), name=name)
        except SignatureError as error:
            return {"unusable": f"cannot be called: {error}"}
        self.bindings[name] = binding
        notes = [[note.level, note.text] for note in binding.notes]
        return {"wanted": list(binding.wanted), "notes": notes}

    def _fork(self, identifier: int, call: socket.socket) -> None:
        self._reap(os.WNOHANG)
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            self.control.close()
            self.seeds.renew()
            for file in self.files:
                file.open_anew()
            self._serve(call)
        self.children[identifier] = child
        call.close()

    def _serve(self, call: socket.socket, *, stay: bool = False) -> None:
        """Serve one call and end; `stay` waits for the engine, which then reads resources."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            assert self.main is not None  # the engine asks for calls only after "loaded"
            serve_call(
                call,
                self.main,
                self.bindings,
                self.boot["tables"],
                self.columns,
                own=self.directory,
                runner=self.holder,
            )
            if stay:
                channel.receive(self.control)
        finally:
            os._exit(0)

    def _wait(self, identifier: int) -> None:
        self._reap(0, only=identifier)
        channel.send(
            self.control, {"op": "ended", "id": identifier, "code": self.ended.pop(identifier, None)}
        )

    def _reap(self, options: int, only: int | None = None) -> None:
        """Collect the exit codes of children, so that none stays a zombie."""
        for identifier, child in list(self.children.items()):
            if only is not None and identifier != only:
                continue
            try:
                pid, status = os.waitpid(child, options)
            except ChildProcessError:  # the submission waited for it itself
                pid, status = child, 0
            if pid:
                del self.children[identifier]
                self.ended[identifier] = os.waitstatus_to_exitcode(status)
        for identifier in list(self.ended)[:-8]:
            del self.ended[identifier]
