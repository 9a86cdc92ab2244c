"""The seed example in MLflow: train and register in one process, load and answer in another."""

import sys

import mlflow
import pandas as pd
from sklearn.linear_model import LinearRegression

mlflow.set_tracking_uri("sqlite:///mlflow.db")


def train() -> None:
    """Fit, log, register, and point an alias at the version."""
    rows = pd.read_csv("old.csv")
    with mlflow.start_run():
        model = LinearRegression().fit(rows[["feature"]], rows["target"])
        logged = mlflow.sklearn.log_model(
            model, name="model", registered_model_name="line", input_example=rows[["feature"]]
        )
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("line", "champion", logged.registered_model_version)


def predict() -> None:
    """Load the version with the alias, and answer one row."""
    model = mlflow.pyfunc.load_model("models:/line@champion")
    print(model.predict(pd.DataFrame({"feature": [9]})))


if __name__ == "__main__":
    {"train": train, "predict": predict}[sys.argv[1]]()
