"""One call of the submission: values in, the function, the result out."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from crunch.columns import Columns
from crunch.parameters import Binding
from crunch.runner import channel, failures
from crunch.runner.frames import read_frame
from crunch.runner.results import encode


def serve_call(
    call: socket.socket,
    main: ModuleType,
    bindings: Mapping[str, Binding],
    tables: dict[str, Any],
    columns: Columns,
    *,
    own: str,
    runner: str,
) -> None:
    """Announce this process, receive one request, answer it with a result or a failure."""
    channel.send(call, {"op": "ready"})
    message = channel.receive(call)
    if message is None:
        return
    request = message[0]
    name = request["function"]
    try:
        values = read_values(request["values"], tables, columns)
        returned = bindings[name].call(getattr(main, name), values)
        limits = request["limits"]  # None: the function's result is ignored
        header, buffers = ({"type": "none"}, []) if limits is None else encode(returned, **limits)
        answer: dict[str, Any] = {"op": "result", "result": header}
    except BaseException as error:
        answer, buffers = {"op": "failed", **failures.describe(error, own=own, runner=runner)}, []
    _flush()
    channel.send(call, answer, buffers)


def read_values(described: dict[str, Any], tables: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """Return the value of each name; names that are described alike get the same object."""
    made: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, description in described.items():
        text = json.dumps(description, sort_keys=True)
        if text not in made:
            made[text] = _read_value(description, tables, columns)
        values[name] = made[text]
    return values


def _read_value(description: dict[str, Any], tables: dict[str, Any], columns: Columns) -> Any:
    if "frame" in description:
        table = tables[description["frame"]]
        return read_frame(table, description["directory"], description["start"], description["stop"])
    if "column" in description:
        name = description["column"]
        return columns if name is None else getattr(columns, name)
    return description["json"]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # the submission closed or replaced it
