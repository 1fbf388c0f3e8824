"""Asks for the platform's own package, which is there without being asked for."""

import tqdm

import crunch


def train():
    pass


def infer(X_test):
    print("inside:", crunch.is_inside_runner, "columns:", crunch.Columns.__name__, "bar:", tqdm.tqdm.__name__)
    return X_test[["moon", "id"]].assign(first=0.0, guess=0.0)
