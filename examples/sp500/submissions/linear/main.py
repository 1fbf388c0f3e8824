"""Ridge regression of both targets on standardised features."""

from pathlib import Path

import joblib
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crunch


def train(X_train, y_train, feature_column_names, target_column_names, model_directory_path):
    """Fit one model to all targets and keep it in the model directory."""
    model = make_pipeline(StandardScaler(), Ridge(alpha=1000.0))
    model.fit(X_train[feature_column_names].to_numpy(), y_train[target_column_names].to_numpy())
    joblib.dump(model, Path(model_directory_path) / "model.joblib")
    if crunch.is_inside_runner:
        print(f"trained on {len(X_train):,} rows, the last of week {X_train['week'].max()}")


def infer(X_test, feature_column_names, prediction_column_names, model_directory_path):
    """Predict one week."""
    model = joblib.load(Path(model_directory_path) / "model.joblib")
    values = model.predict(X_test[feature_column_names].to_numpy())
    prediction = pd.DataFrame(values, columns=list(prediction_column_names), index=X_test.index)
    return pd.concat([X_test[["week", "ticker"]], prediction], axis=1)
