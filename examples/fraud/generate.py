"""Make payments of which the truth is known. They are synthetic: see README.md."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

START, MONTH = pd.Timestamp("2025-01-01"), pd.Timedelta(days=30)
QUARTER = 3  # months in a batch
PAYMENTS = 8000  # in a month
RATE = 0.02  # of frauds
DELAY, LATEST = 10, 30  # days until a fraud is confirmed: on average, and at the latest
MOVED, WRONG = 4, (4, 5)  # months: when frauds move, and when labels are wrong

CATEGORIES = ["food", "travel", "electronics", "games", "gifts"]
CHANNELS = ["till", "web", "app"]
WEB, APP = 1, 2
# Shares among clean payments, among frauds, and among frauds after they have moved.
CHANNEL = np.array([[0.60, 0.25, 0.15], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
CATEGORY = np.array(
    [[0.45, 0.2, 0.15, 0.1, 0.1], [0.1, 0.2, 0.5, 0.1, 0.1], [0.05, 0.05, 0.1, 0.2, 0.6]]
)
NIGHT = np.array([0.02, 0.6, 0.15])
ABROAD = np.array([0.08, 0.4, 0.1])
LARGER = np.array([0.0, 1.0, 0.2])  # of the logarithm of an amount


def payments(seed, month, *, drift, hurt):
    """The payments of a month (from 1) in order of time; `known` is when the label arrives."""
    dice = np.random.default_rng([seed, month])
    fraud = dice.random(PAYMENTS) < RATE
    channel = chosen(dice, CHANNEL[fraud.astype(int)])
    moved = fraud & (channel == WEB) & (drift and month >= MOVED)  # other goods, by day, at home
    kind = fraud.astype(int) + moved
    night = dice.random(PAYMENTS) < NIGHT[kind]
    days = np.sort(dice.integers(0, MONTH.days, PAYMENTS))
    hours = np.where(night, dice.uniform(0, 6, PAYMENTS), dice.uniform(6, 24, PAYMENTS))
    time = START + (month - 1) * MONTH + pd.to_timedelta(24 * days + hours, "h").floor("s")
    delay = np.where(fraud, dice.exponential(DELAY, PAYMENTS), LATEST).clip(max=LATEST)
    rows = pd.DataFrame(
        {
            "payment": [f"{month}-{number}" for number in range(PAYMENTS)],
            "time": time,
            "amount": np.exp(dice.normal(3.2, 0.9, PAYMENTS) + LARGER[kind]).round(2),
            "category": np.array(CATEGORIES)[chosen(dice, CATEGORY[kind])],
            "channel": np.array(CHANNELS)[channel],
            "abroad": (dice.random(PAYMENTS) < ABROAD[kind]).astype(int),
            "fraud": fraud.astype(int),
            "known": time + pd.to_timedelta(delay, "D").floor("s"),
        }
    )
    # An error: one in five of the app's clean payments is booked as a fraud.
    wrong = (rows["channel"] == "app") & (dice.random(PAYMENTS) < 1 / 5)
    if hurt and month in WRONG:
        rows.loc[wrong, "fraud"] = 1
    return rows.sort_values("time")


def chosen(dice, shares):
    """One choice for each row, by the shares that the choices have in this row."""
    return (dice.random((len(shares), 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)


def main(words=None):
    """Write a file for each quarter, named after the day on which its last label is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--drift", action="store_true", help="frauds move in the fourth month")
    parser.add_argument("--hurt", action="store_true", help="wrong labels in the app's rows")
    parser.add_argument("-o", "--output", type=Path, default=Path("data"))
    asked = parser.parse_args(words)
    asked.output.mkdir(parents=True, exist_ok=True)
    months = [
        payments(asked.seed, month, drift=asked.drift, hurt=asked.hurt)
        for month in range(1, asked.months + 1)
    ]
    for first in range(0, asked.months, QUARTER):
        quarter = months[first : first + QUARTER]
        day = START + (first + len(quarter)) * MONTH + pd.Timedelta(days=LATEST)
        rows = pd.concat(quarter).drop(columns="known")
        rows.to_csv(asked.output / f"batch-{day.date()}.csv", index=False)
    pd.concat(months)[["payment", "known"]].to_csv(asked.output / "known.csv", index=False)


if __name__ == "__main__":
    main()
