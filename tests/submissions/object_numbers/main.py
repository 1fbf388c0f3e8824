"""Predicts Python numbers in columns of dtype object, in reverse order and with an index of its own."""


def train():
    pass


def infer(X_test):
    values = [float(value) for value in X_test["f0"]]
    prediction = (
        X_test[["id", "moon"]].assign(guess=1, first=values).astype({"first": object, "guess": object})
    )
    return prediction.iloc[::-1].set_index(X_test["id"] + "-row", drop=True)
