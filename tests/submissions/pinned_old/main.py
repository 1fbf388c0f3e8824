"""Pins versions of 2023 and fits a model with them."""

from pathlib import Path

import joblib
import numpy
import pandas
import sklearn
from sklearn.linear_model import Ridge


def versions():
    return [package.__version__ for package in (pandas, numpy, sklearn, joblib)]


def train(X_train, y_train, feature_column_names, target_column_names, model_directory_path):
    model = Ridge().fit(X_train[feature_column_names], y_train[target_column_names])
    joblib.dump(model, Path(model_directory_path) / "model.joblib")


def infer(X_test, feature_column_names, prediction_column_names, model_directory_path):
    print("versions", *versions())
    assert X_test["id"].dtype == object, X_test["id"].dtype
    model = joblib.load(Path(model_directory_path) / "model.joblib")
    prediction = X_test[["moon", "id"]].copy()
    prediction[prediction_column_names] = model.predict(X_test[feature_column_names])
    return prediction
