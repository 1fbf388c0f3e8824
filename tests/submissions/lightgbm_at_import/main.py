"""Fits LightGBM while it is imported, threads and all, and predicts and fits with it in each call."""

import lightgbm
import numpy as np

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(2000, 4))
OPTIONS = {"verbose": -1, "num_leaves": 7, "seed": 0, "deterministic": True, "num_threads": 2}


def fit(features, target):
    return lightgbm.train(OPTIONS, lightgbm.Dataset(features, target), num_boost_round=10)


MODEL = fit(FEATURES, FEATURES[:, 0])


def train(X_train, y_train, feature_column_names):
    fit(X_train[feature_column_names].to_numpy(), y_train["first"].to_numpy())


def infer(X_test, feature_column_names):
    values = MODEL.predict(X_test[feature_column_names].to_numpy())
    return X_test[["moon", "id"]].assign(first=values, guess=values)
