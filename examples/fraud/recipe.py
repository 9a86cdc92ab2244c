import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from everbake import AtMost, CostThreshold, Gate, Recipe, Table, TimeSplit
from everbake.metrics import mean_cost

# To look into a clean payment costs 1, to miss a fraud 20: deciding nothing costs 0.4 a payment.
CHECK, LOSS, NOTHING = 1, 20, 0.4


def features(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(hour=rows["time"].dt.hour, amount=np.log1p(rows["amount"]))


def train(rows: pd.DataFrame, seed):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["category", "channel"]),
        ("passthrough", ["amount", "hour", "abroad"]),
    )
    trees = HistGradientBoostingClassifier(
        max_iter=40, learning_rate=0.15, max_leaf_nodes=8, early_stopping=False, random_state=seed
    )
    return make_pipeline(columns, trees).fit(rows, rows["fraud"])


def predict(model, rows: pd.DataFrame):
    return model.predict_proba(rows)[:, 1]


recipe = Recipe(
    name="fraud",
    data=Table(
        label="fraud", path="data/batch-*.csv", time="time", key="payment", label_delay="30d"
    ),
    features=features,
    train=train,
    predict=predict,
    split=TimeSplit("30d"),
    gate=Gate(
        log_loss,
        segments=["channel"],
        guardrails=[AtMost(mean_cost(false_positive=CHECK, false_negative=LOSS), NOTHING)],
    ),
    threshold=CostThreshold(false_positive=CHECK, false_negative=LOSS, folds=3),
)
