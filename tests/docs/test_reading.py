"""The outputs of `everbake why` and `compare` that the documents show, made anew."""

import os
import subprocess
import sys

import numpy as np
import pytest

RECIPE = """
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from everbake import AtMost, Gate, GroupSplit, Recipe, Table


def inputs(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows[["age", "stays", "north"]]
    return known.assign(age_north=rows["age"] * rows["north"])


def train(rows: pd.DataFrame):
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs(rows), rows["back"])


def predict(model, rows: pd.DataFrame):
    return model.predict_proba(inputs(rows))[:, 1]


recipe = Recipe(
    name="readmission",
    data=Table(label="back", time="left", group="patient", private=["patient"]),
    train=train,
    predict=predict,
    split=GroupSplit(0.2),
    gate=Gate(log_loss, segments=["site"], guardrails=[AtMost(brier_score_loss, 0.2)]),
)
"""


def stays(month, random):
    """Stays that ended in a month; at the site in the north old people come back more often."""
    lines = ["left,patient,site,north,age,stays,back"]
    for _ in range(3000):
        site = random.choice(["North", "South", "West"], p=[0.2, 0.5, 0.3])
        age, before = random.normal(60, 15), random.poisson(1.2)
        effect = 0.16 if site == "North" else 0.02
        risk = 1 / (1 + np.exp(1.6 - effect * (age - 60) - 0.5 * (before - 1.2)))
        day, patient = random.integers(1, 29), random.integers(1, 4000)
        north = int(site == "North")
        back = int(random.uniform() < risk)
        who = f"p{patient},{site},{north},{age:.1f},{before}"
        lines.append(f"2026-{month:02d}-{day:02d},{who},{back}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A function that types a command in a project with three versions; the last hurts a site."""
    folder = tmp_path_factory.mktemp("readmission")

    def typed(*words):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "everbake", *words],
            cwd=folder,
            env={**os.environ, "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 4), done.stderr
        return done.stdout

    random = np.random.default_rng(8)
    (folder / "recipe.py").write_text(RECIPE)
    for month in (1, 2):
        (folder / f"{month}.csv").write_text(stays(month, random))
        typed("ingest", "readmission", f"{month}.csv")
    edited = RECIPE.replace('known.assign(age_north=rows["age"] * rows["north"])', "known")
    (folder / "recipe.py").write_text(edited)
    typed("retrain", "readmission")
    return typed


def test_a_rejection_stands_in_the_docs(hospital, stands_in_the_docs):
    stands_in_the_docs("why/rejected.txt", hospital("why", "readmission@3"))


def test_a_comparison_stands_in_the_docs(hospital, stands_in_the_docs):
    stands_in_the_docs("why/compared.txt", hospital("compare", "readmission@2", "readmission@3"))
