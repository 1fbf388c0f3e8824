"""Trains CatBoost, which writes its progress into the working directory, and predicts with it."""

import os
from pathlib import Path

from catboost import CatBoostRegressor


def train(X_train, y_train, feature_column_names, model_directory_path):
    model = CatBoostRegressor(iterations=10, depth=2, random_seed=0, thread_count=1, verbose=5)
    model.fit(X_train[feature_column_names], y_train["first"])
    plain = CatBoostRegressor(
        iterations=2, train_dir="catboost_info", random_seed=0, thread_count=1, verbose=0
    )
    plain.fit(X_train[feature_column_names], y_train["first"])
    print("written here:", os.path.isdir("catboost_info"))
    model.save_model(str(Path(model_directory_path) / "model.cbm"))


def infer(X_test, feature_column_names, model_directory_path):
    print("still here:", os.path.isdir("catboost_info"))
    model = CatBoostRegressor().load_model(str(Path(model_directory_path) / "model.cbm"))
    values = model.predict(X_test[feature_column_names])
    return X_test[["moon", "id"]].assign(first=values, guess=0.0)
