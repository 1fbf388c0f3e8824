"""Import what every environment must offer, and report each step before and after it.

The request is a length and JSON: {"site_packages", "crunch"}. The answer is lines of JSON: {"start": step},
then {"done": step} or {"failed": step, "error": text}; {"finished": true} at the end.
"""

import importlib
import importlib.util
import io
import json
import os
import socket
import struct
import sys
import warnings


def import_crunch(package: str) -> None:
    """Import the platform's own package from where it is mounted."""
    spec = importlib.util.spec_from_file_location(
        "crunch", os.path.join(package, "__init__.py"), submodule_search_locations=[package]
    )
    if spec is None or spec.loader is None:
        raise ImportError("crunch is not where it was mounted")
    module = importlib.util.module_from_spec(spec)
    sys.modules["crunch"] = module
    spec.loader.exec_module(module)


def pass_frame_through_parquet() -> None:
    """Let pandas and pyarrow work together once: some pairs import and then fail."""
    pandas = importlib.import_module("pandas")
    file = io.BytesIO()
    frame = pandas.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    frame.to_parquet(file)
    file.seek(0)
    if pandas.read_parquet(file)["a"].tolist() != [1.5, 2.5]:
        raise ImportError("pyarrow gives back other values than pandas gave it")


def main() -> None:
    """Serve one request."""
    control = socket.socket(fileno=int(sys.argv[1]))
    with control.makefile("rb") as stream:
        (length,) = struct.unpack("<I", stream.read(4))
        request = json.loads(stream.read(length))
    sys.path.append(request["site_packages"])
    warnings.simplefilter("ignore")
    steps = {
        "crunch": lambda: import_crunch(request["crunch"]),
        "numpy": lambda: importlib.import_module("numpy"),
        "pandas": lambda: importlib.import_module("pandas"),
        "pyarrow": lambda: importlib.import_module("pyarrow"),
        "pyarrow with pandas": pass_frame_through_parquet,
    }

    def report(**message: object) -> None:
        control.sendall(json.dumps(message).encode() + b"\n")

    for name, step in steps.items():
        report(start=name)
        try:
            step()
        except BaseException as error:
            report(failed=name, error=f"{type(error).__name__}: {error}"[:2000])
            break
        report(done=name)
    report(finished=True)
    os._exit(0)


main()
