"""Gradient-boosted trees, one model for each target."""

from pathlib import Path

import joblib
from sklearn.ensemble import HistGradientBoostingRegressor

import crunch


def train(X_train, y_train, feature_column_names, target_column_names, model_directory_path):
    """Fit the models and keep them in the model directory."""
    features = X_train[feature_column_names].to_numpy()
    models = {}
    for target in target_column_names:
        model = HistGradientBoostingRegressor(
            max_iter=60, max_depth=3, learning_rate=0.05, min_samples_leaf=200, random_state=0
        )
        models[target] = model.fit(features, y_train[target].to_numpy())
    joblib.dump(models, Path(model_directory_path) / "models.joblib")
    if crunch.is_inside_runner:
        print(f"trained on {len(X_train):,} rows, the last of week {X_train['week'].max()}")


def infer(X_test, feature_column_names, prediction_column_names, model_directory_path):
    """Predict one week; a target's prediction column bears its name here."""
    models = joblib.load(Path(model_directory_path) / "models.joblib")
    prediction = X_test[["week", "ticker"]].copy()
    for column in prediction_column_names:
        prediction[column] = models[column].predict(X_test[feature_column_names].to_numpy())
    return prediction
