"""Prints, trains where it is due and keeps a small model: the mean of the targets so far."""

from pathlib import Path

import numpy as np


def train(X_train, y_train, moon, target_column_names, model_directory_path):
    print(f"training at {moon} on {len(X_train)} rows up to moon {X_train['moon'].max()}")
    np.savetxt(Path(model_directory_path) / "means.txt", y_train[target_column_names].mean().to_numpy())


def infer(X_test, moon, has_trained, prediction_column_names, model_directory_path):
    print(f"predicting {moon}, trained: {has_trained}")
    prediction = X_test[["moon", "id"]].copy()
    prediction[list(prediction_column_names)] = np.loadtxt(Path(model_directory_path) / "means.txt")
    return prediction
