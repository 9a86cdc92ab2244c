import numpy as np
import pandas as pd

from everbake import AtLeast, Events, Gate, Recipe, TimeSplit
from everbake.metrics import coverage, ndcg

RECENT = pd.Timedelta(days=90)  # tastes change


def train(rows: pd.DataFrame):
    recent = rows[rows["day"] > rows["day"].max() - RECENT]
    bought = pd.crosstab(recent["customer"], recent["article"])
    unit = bought / np.sqrt((bought**2).sum())
    return bought, unit.T @ unit


def recommend(model, users, k):
    bought, alike = model
    known = bought.reindex(users).to_numpy()  # all NaN for a customer whom nobody knows
    scores = np.where(np.isnan(known), bought.sum(), known @ alike.to_numpy())
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return bought.columns.to_numpy()[best].tolist()


recipe = Recipe.ranking(
    name="recommender",
    data=Events(user="customer", item="article", time="day", path="data/batch-*.csv"),
    train=train,
    recommend=recommend,
    split=TimeSplit("30d"),
    gate=Gate(ndcg(10), segments=["branch"], guardrails=[AtLeast(coverage(10), 0.5)]),
)
