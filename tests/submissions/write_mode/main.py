"""Takes all permissions from its model file and directory, for the next call to find them readable or not."""

import os
from pathlib import Path


def train(model_directory_path):
    directory = Path(model_directory_path) / "inner"
    directory.mkdir()
    (directory / "model.txt").write_text("0.5")
    os.chmod(directory / "model.txt", 0)
    os.chmod(directory, 0)


def infer(X_test, model_directory_path):
    directory = Path(model_directory_path) / "inner"
    os.chmod(directory, 0o700)
    os.chmod(directory / "model.txt", 0o600)
    value = float((directory / "model.txt").read_text())
    os.chmod(directory / "model.txt", 0)
    os.chmod(directory, 0)
    return X_test[["moon", "id"]].assign(first=value, guess=value)
