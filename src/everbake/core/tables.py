"""The tables that are derived from the facts: their keys, columns and cells."""

from collections.abc import Mapping
from dataclasses import dataclass

Cell = str | int | float | None
Row = dict[str, Cell]

# Key columns of each table.
KEYS: dict[str, tuple[str, ...]] = {
    "models": ("model",),
    "data_versions": ("model", "version"),
    "quarantine": ("model", "id"),
    "runs": ("run",),
    "versions": ("model", "version"),
    "decisions": ("run",),
    "deployments": ("model",),
    "rollouts": ("rollout",),
    "rollout_steps": ("rollout", "at"),
}

# The other columns of each table: the numbered SQL schemas have these, and a test compares.
COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(names.split())
    for table, names in {
        "models": """recipe recipe_number recipe_fact recipe_n snapshot source spec held paused
            rows data_version data_fact data_n contract covered covered_recipe versions running
            run_n retrain_fact retrain_n last_run last_cause last_kind last_attempt last_again
            last_ended champion champion_bundle candidate winner winner_bundle rollout
            candidate_fact candidate_recipe candidate_due candidate_since best best_bundle
            full_n updates full_time""",
        "data_versions": """n digest rows first_row table_version fact time sources notices
            quarantine""",
        "quarantine": """n digest rows findings findings_count sources blobs state reason
            data_version time""",
        "runs": """n model cause cause_kind attempt data_version recipe champion seed environment
            state step started ended bundle peak_memory rows_trained log error verdict version
            seconds""",
        "versions": """n state served replaced run bundle runtime recipe data_version time base
            rows_learned new_rows""",
        "decisions": """n model version decision champion_before time look level rows digest judged
            best_before surpasses""",
        "deployments": """version bundle previous previous_bundle generation time challenger
            challenger_bundle rollout kind unit salt share""",
        "rollouts": """n model version bundle champion plan part stage state opened part_opened
            stage_opened ended reason""",
        "rollout_steps": "n model version step because evidence time",
    }.items()
}

# The column that says which row of a table is newer: a place in the ledger, never a time.
NEWEST: dict[str, str] = dict.fromkeys(KEYS, "n") | {
    "models": "recipe_n",
    "deployments": "generation",
}


@dataclass(frozen=True)
class Put:
    """Insert the row with this key, or change these columns of it.

    Attributes:
        table: a key of `KEYS`.
        key: the values of the key columns, in their order.
        columns: the other columns to set.
    """

    table: str
    key: tuple[Cell, ...]
    columns: Mapping[str, Cell]
