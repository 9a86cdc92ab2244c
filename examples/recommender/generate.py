"""Make purchases of which the truth is known. They are synthetic: see README.md."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

START, MONTH = pd.Timestamp("2025-01-01"), pd.Timedelta(days=30)
QUARTER = 3  # months in a batch
CUSTOMERS, ARTICLES, KINDS = 600, 160, 8
EACH = 8  # purchases of a customer in a month, on average
NEWCOMERS, LAST = 0.4, 6  # share of customers who come later; the last month in which some do
MOVED, WRONG = 4, (4, 5)  # months: when the fashion changes, and when a till is wrong

BRANCHES = np.array(["north", "south", "west"])
SHARES = [0.45, 0.35, 0.20]


def customers(seed):
    """The branch of each customer, the month of the first purchase, and the taste for each kind."""
    dice = np.random.default_rng(seed)
    since = np.where(dice.random(CUSTOMERS) < NEWCOMERS, dice.integers(1, LAST + 1, CUSTOMERS), 1)
    taste = dice.dirichlet(np.full(KINDS, 0.25), CUSTOMERS)
    return dice.choice(BRANCHES, CUSTOMERS, p=SHARES), since, taste


def fashion(seed, month, *, drift):
    """How much each article is wanted: it wanders, and with drift half of it changes at once."""
    wanted = np.random.default_rng([seed, 0]).normal(0, 1, ARTICLES)
    for each in range(2, month + 1):
        dice = np.random.default_rng([seed, 0, each])
        wanted = wanted + dice.normal(0, 0.15, ARTICLES)
        moved = (dice.random(ARTICLES) < 0.5) & (drift and each == MOVED)
        wanted = np.where(moved, dice.normal(0.5, 1, ARTICLES), wanted)
    return np.exp(wanted)


def purchases(people, seed, month, *, drift, hurt):
    """The purchases of a month (from 1), in order of time."""
    branch, since, taste = people
    dice = np.random.default_rng([seed, month])
    count = np.where(since <= month, dice.poisson(EACH, CUSTOMERS), 0)
    who = np.repeat(np.arange(CUSTOMERS), count)
    # Article a is of the kind a % KINDS: each kind is a column, each row a round through them.
    wanted = fashion(seed, month, drift=drift).reshape(-1, KINDS)
    kind = chosen(dice, taste[who])
    article = chosen(dice, (wanted / wanted.sum(axis=0)).T[kind]) * KINDS + kind
    if hurt and month in WRONG:  # the till of a branch books each article under the next number
        article = np.where(branch[who] == "west", (article + 1) % ARTICLES, article)
    days = (month - 1) * MONTH.days + dice.integers(0, MONTH.days, len(who))
    rows = pd.DataFrame(
        {
            "customer": [f"c{number}" for number in who],
            "article": [f"a{number}" for number in article],
            "branch": branch[who],
            "day": START + pd.to_timedelta(days, "D"),
        }
    )
    return rows.sort_values("day", kind="stable")


def chosen(dice, shares):
    """One choice for each row, by the shares that the choices have in this row."""
    return (dice.random((len(shares), 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)


def main(words=None):
    """Write a file for each quarter, named after the day on which it is complete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--drift", action="store_true", help="another fashion in the fourth month")
    parser.add_argument("--hurt", action="store_true", help="a wrong till in the west")
    parser.add_argument("-o", "--output", type=Path, default=Path("data"))
    asked = parser.parse_args(words)
    asked.output.mkdir(parents=True, exist_ok=True)
    people = customers(asked.seed)
    months = [
        purchases(people, asked.seed, month, drift=asked.drift, hurt=asked.hurt)
        for month in range(1, asked.months + 1)
    ]
    for first in range(0, asked.months, QUARTER):
        quarter = months[first : first + QUARTER]
        day = START + (first + len(quarter)) * MONTH
        pd.concat(quarter).to_csv(asked.output / f"batch-{day.date()}.csv", index=False)


if __name__ == "__main__":
    main()
