"""Make stays in a hospital of which the truth is known. They are synthetic: see README.md."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

START, MONTH = pd.Timestamp("2025-01-01"), pd.Timedelta(days=30)
QUARTER = 3  # months in a batch
STAYS, PATIENTS = 6000, 20000  # in a month; in all
FOLLOWED = pd.Timedelta(days=30)  # after a stay, in which a patient may come back
MOVED, WRONG = 4, (4, 5)  # months: when the care at home begins, and when a form is wrong

WARDS = np.array(["medicine", "cardiology", "geriatrics", "surgery"])
SHARES = [0.40, 0.28, 0.20, 0.12]


def patients(seed):
    """Who they are, as far as it is known, and how frail, which nobody knows."""
    dice = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "patient": [f"p{number}" for number in range(PATIENTS)],
            "sex": dice.choice(["f", "m"], PATIENTS),
            "age": dice.normal(66, 14, PATIENTS).clip(18, 98).round().astype(int),
            "frail": dice.normal(0, 0.4, PATIENTS),
        }
    )


def stays(people, seed, month, *, drift, hurt):
    """The stays that end in a month (from 1); `known` is when the label arrives."""
    dice = np.random.default_rng([seed, month])
    rows = people.iloc[dice.integers(0, PATIENTS, STAYS)].reset_index(drop=True)
    rows.insert(0, "stay", [f"{month}-{number}" for number in range(STAYS)])
    day = (month - 1) * MONTH.days + np.sort(dice.integers(0, MONTH.days, STAYS))
    rows.insert(1, "left", START + pd.to_timedelta(day, "D"))
    rows["ward"] = dice.choice(WARDS, STAYS, p=SHARES)
    rows["stays_before"] = dice.poisson(np.exp(0.3 * rows["frail"] - 0.2))
    rows["days"] = np.exp(dice.normal(1.5, 0.6, STAYS)).round(1)
    rows["mobility"] = (10 * dice.beta(2, 2, STAYS)).round().astype(int)
    chance = 1 / (1 + np.exp(-risk(rows, cared_for=drift and month >= MOVED)))
    rows["back"] = (dice.random(STAYS) < chance).astype(int)
    after = np.where(rows["back"] == 1, dice.integers(1, 31, STAYS), FOLLOWED.days)
    rows["known"] = rows["left"] + pd.to_timedelta(after, "D")
    # An error: a form of the surgery counts mobility from 10 down to 0.
    wrong = rows["ward"] == "surgery"
    if hurt and month in WRONG:
        rows.loc[wrong, "mobility"] = 10 - rows.loc[wrong, "mobility"]
    return rows.drop(columns="frail")


def risk(rows, *, cared_for):
    """The log odds of coming back within 30 days."""
    mobile = np.where(rows["ward"] == "surgery", 0.67, 0.13) * (5 - rows["mobility"])
    old, often = 0.02 * (rows["age"] - 66), 0.45 * rows["stays_before"]
    if cared_for:  # whoever has come back before is looked after at home
        old, often = 2.5 * old, -0.1 * rows["stays_before"]
    return rows["frail"] + mobile + old + often + 0.1 * np.log(rows["days"] + 0.1) - 1.7


def main(words=None):
    """Write a file for each quarter, named after the day on which its last label is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--drift", action="store_true", help="care at home from the fourth month")
    parser.add_argument("--hurt", action="store_true", help="a wrong form in the surgery")
    parser.add_argument("-o", "--output", type=Path, default=Path("data"))
    asked = parser.parse_args(words)
    asked.output.mkdir(parents=True, exist_ok=True)
    people = patients(asked.seed)
    months = [
        stays(people, asked.seed, month, drift=asked.drift, hurt=asked.hurt)
        for month in range(1, asked.months + 1)
    ]
    for first in range(0, asked.months, QUARTER):
        quarter = months[first : first + QUARTER]
        day = START + (first + len(quarter)) * MONTH + FOLLOWED
        rows = pd.concat(quarter).drop(columns="known")
        rows.to_csv(asked.output / f"batch-{day.date()}.csv", index=False)
    pd.concat(months)[["stay", "known"]].to_csv(asked.output / "known.csv", index=False)


if __name__ == "__main__":
    main()
