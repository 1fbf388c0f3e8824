"""Predicts truth values, which count as 0 and 1."""


def train():
    pass


def infer(X_test):
    return X_test[["moon", "id"]].assign(first=X_test["f0"] > 0, guess=True)
