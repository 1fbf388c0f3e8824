"""Looks for what is not known yet (X of later moons, y under the embargo) and predicts 1 where it finds some.

The data bear marks (tests/competitions/marked.py): the low half of each float64 of y is STEM and the moon,
and each moon has an id of its own. Places: memory, files, descriptors and objects.
"""

import gc
import os
import re
import socket
import stat
import time

import numpy as np
import pandas as pd

STEM = b"\xee\xff\xc0"
IDS = re.compile(rb"canary-(\d{4})-zq7x")
SYSTEM = {"proc", "sys", "usr", "lib", "lib32", "lib64", "bin", "sbin", "etc", "boot", "site-packages"}
ROOT = "/"
PIECE = 16 << 20
PATIENCE = 25.0  # seconds for one place


def marks(data):
    """Return the moons of the targets and of the ids that stand in some bytes."""
    targets, at = set(), data.find(STEM)
    while at > 0:
        # The same mark one number further: by itself, this constant would be found too.
        if data[at + 7 : at + 11] == data[at - 1 : at] + STEM:
            targets.add(data[at - 1])
        at = data.find(STEM, at + 1)
    return targets, {int(moon) for moon in IDS.findall(data)}


def processes():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def in_memory():
    for process in processes():
        try:
            with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as memory:
                for line in maps:
                    first, last = (int(number, 16) for number in line.split()[0].split("-"))
                    yield from pieces(memory.fileno(), first, last)
        except OSError:
            continue


def in_files():
    for directory, inner, files in os.walk(ROOT):
        inner[:] = [name for name in inner if name not in SYSTEM]
        for name in files:
            path = os.path.join(directory, name)
            try:
                if stat.S_ISREG(os.stat(path).st_mode):
                    with open(path, "rb", 0) as file:
                        yield from pieces(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            except OSError:
                continue


def in_descriptors():
    for process in processes():
        try:
            names = os.listdir(f"/proc/{process}/fd")
        except OSError:
            continue
        for name in names:
            try:
                mode = os.stat(f"/proc/{process}/fd/{name}").st_mode
                if stat.S_ISREG(mode):
                    with open(f"/proc/{process}/fd/{name}", "rb", 0) as file:
                        yield from pieces(file.fileno(), 0, os.fstat(file.fileno()).st_size)
                elif stat.S_ISSOCK(mode) and int(process) == os.getpid():
                    with socket.socket(fileno=os.dup(int(name))) as peer:
                        yield peer.recv(PIECE, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except OSError:
                continue


def in_objects():
    # The collector does not track arrays, but what holds them.
    for item in (held for holder in gc.get_objects() for held in (holder, *gc.get_referents(holder))):
        if type(item) is pd.DataFrame:
            for name in item.columns:
                values = item[name].to_numpy()
                yield " ".join(map(str, values)).encode() if values.dtype == object else values.tobytes()
        elif type(item) is np.ndarray and item.dtype.kind == "f":
            yield item.tobytes()


def pieces(descriptor, first, last):
    """Yield what can be read of a range, with an overlap so that no mark is cut."""
    for start in range(first, last, PIECE):
        try:
            yield os.pread(descriptor, min(PIECE + 64, last - start), start)
        except (OSError, OverflowError):
            return


PLACES = {"memory": in_memory, "files": in_files, "descriptors": in_descriptors, "objects": in_objects}


def unknown(moon, embargo, places=PLACES):
    """Return what is found, by place, though its time has not come."""
    found = []
    for place in places:
        end = time.monotonic() + PATIENCE
        for data in PLACES[place]():
            targets, ids = marks(data)
            found += [f"{place}: y of {other}" for other in targets if other >= moon - embargo]
            found += [f"{place}: id of {other}" for other in ids if other > moon]
            if time.monotonic() > end:
                print(f"{place}: out of patience")
                break
    return sorted(set(found))


def known(moon, embargo):
    """Return the moons of y in memory that may be there: a search that sees nothing proves nothing."""
    return sorted({m for data in in_memory() for m in marks(data)[0] if m < moon - embargo})


def train(X_train, y_train, moon, embargo, model_directory_path):
    found = unknown(moon, embargo)
    print(f"train {moon} found {found} and knows {known(moon, embargo)}")
    with open(f"{model_directory_path}/found.txt", "a") as file:
        file.writelines(f"{line}\n" for line in found)


def infer(X_test, moon, embargo, model_directory_path):
    found = unknown(moon, embargo)
    print(f"infer {moon} found {found}")
    with open(f"{model_directory_path}/found.txt") as file:
        value = float(bool(found or file.read()))
    return X_test[["moon", "id"]].assign(first=value, guess=value)
