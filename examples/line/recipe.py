import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error

from everbake import Gate, Recipe, Table


def train(rows: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(rows[["feature"]], rows["target"])


def predict(model: LinearRegression, rows: pd.DataFrame):
    return model.predict(rows[["feature"]])


recipe = Recipe(
    name="line",
    data=Table(label="target"),
    train=train,
    predict=predict,
    gate=Gate(mean_squared_error, better="lower"),
)
