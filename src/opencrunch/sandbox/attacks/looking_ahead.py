"""The submission that looks for the future, in its files, its memory and its objects; run inside a sandbox.

Each feature and each target of a moon holds a mark that names the moon. A search never holds a mark itself:
it compares bits that were turned over.
"""

import gc
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

FEATURE, TARGET = 0x6F70656E63720000, 0x6372756E63680000  # a moon's number in the low bits
TURNED = np.uint64(0xFFFFFFFFFFFFFFFF)
SKIPPED = ("/proc", "/sys", "/usr", "/lib", "/opt/opencrunch/packages", "/dev/null", "/root")
PLACES = ("files", "memory", "objects")


def marks(kind: int, values: Any) -> set[int]:
    """Return the moons whose marks stand in an array of 64-bit words."""
    turned = values ^ TURNED
    wanted = np.uint64((kind >> 16) ^ 0xFFFFFFFFFFFF)
    return {int(np.uint64(word) ^ TURNED) & 0xFFFF for word in turned[(turned >> np.uint64(16)) == wanted]}


def words(data: bytes) -> Iterator[Any]:
    """Yield the 64-bit words of bytes; marks stand at multiples of four."""
    for offset in (0, 4):
        part = data[offset:]
        yield np.frombuffer(part, np.uint64, len(part) // 8)


def roots() -> list[str]:
    """Return the directories that are searched: all, and those of mapped files if `/` is not listed."""
    with open("/proc/self/maps") as maps:
        mapped = {line.split(maxsplit=5)[5].strip() for line in maps if line.count("/") > 1}
    above = {os.path.dirname(os.path.dirname(path)) for path in mapped if not path.startswith(SKIPPED)}
    return ["/", os.getcwd(), *sorted(path for path in above if len(path) > 1)]


def in_files() -> Iterator[bytes]:
    """Yield the content of every file that can be reached."""
    seen: set[str] = set()
    for root in roots():
        for directory, names, files in os.walk(root):
            names[:] = [name for name in names if not os.path.join(directory, name).startswith(SKIPPED)]
            for path in (os.path.join(directory, name) for name in files):
                if path in seen or len(seen) > 20_000:
                    continue
                seen.add(path)
                try:
                    if os.path.isfile(path) and os.path.getsize(path) < 64 << 20:
                        with open(path, "rb") as file:
                            yield file.read()
                except OSError:
                    continue


def in_memory() -> Iterator[bytes]:
    """Yield what this process has mapped, private pages and shared ones."""
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.read().splitlines():
            bounds, rights = line.split()[:2]
            start, stop = (int(bound, 16) for bound in bounds.split("-"))
            if rights[0] != "r" or stop - start > 256 << 20 or line.endswith(("[vsyscall]", "[vvar]")):
                continue
            try:
                memory.seek(start)
                yield memory.read(stop - start)
            except (OSError, ValueError):
                continue


def in_objects() -> Iterator[bytes]:
    """Yield the arrays of every object that the garbage collector knows, and of their frames."""
    gc.unfreeze()
    found = gc.get_objects()
    arrays = [item for item in found if type(item) is np.ndarray]
    for item in found:
        if isinstance(item, (pd.DataFrame, pd.Series)):
            arrays.extend(np.asarray(item[name]) for name in item) if item.ndim == 2 else None
        elif type(item) in (list, tuple, dict):
            held = item.values() if type(item) is dict else item
            arrays.extend(value for value in list(held) if type(value) is np.ndarray)
    for array in arrays:
        if array.dtype.kind in "iuf" and array.dtype.itemsize == 8:
            yield np.ascontiguousarray(array).tobytes()


def hunt() -> dict[str, dict[str, list[int]]]:
    """Return, for each place, the moons whose features and whose targets were found."""
    found = {}
    for place, search in zip(PLACES, (in_files, in_memory, in_objects), strict=True):
        features: set[int] = set()
        targets: set[int] = set()
        for data in search():
            for part in words(data):
                features |= marks(FEATURE, part)
                targets |= marks(TARGET, part)
        found[place] = {"features": sorted(features), "targets": sorted(targets)}
    return found


def train(X_train: Any, y_train: Any, moon: int) -> None:
    """Search while a training set is there."""
    with open("resources/train.json", "w") as file:
        json.dump({"moon": moon, "found": hunt()}, file)


def infer(X_test: Any, moon: int) -> Any:
    """Search while a moon's rows are there."""
    with open("resources/infer.json", "w") as file:
        json.dump({"moon": moon, "found": hunt()}, file)
    rows = X_test[X_test["moon"] == moon]
    return pd.DataFrame({"id": rows["id"], "moon": moon, "target": 0.0})
