"""The tables of the record store."""

VERSION = 1

SCHEMA = """
CREATE TABLE cursors (
    segment TEXT PRIMARY KEY, model TEXT, at INTEGER, anchor_n INTEGER, anchor TEXT
) WITHOUT ROWID;
CREATE TABLE answers (
    model TEXT, id TEXT, role TEXT, version INTEGER, time REAL, generation INTEGER, key TEXT,
    caller TEXT, prediction TEXT, PRIMARY KEY (model, id, role)
) WITHOUT ROWID;
CREATE INDEX answers_by_key ON answers (model, key) WHERE key IS NOT NULL;
CREATE TABLE labels (
    n INTEGER PRIMARY KEY, model TEXT, kind TEXT, name TEXT, label TEXT, source TEXT, time REAL
);
CREATE INDEX labels_by_name ON labels (model, kind, name);
CREATE TABLE newest (
    model TEXT, kind TEXT, name TEXT, label TEXT, n INTEGER, PRIMARY KEY (model, kind, name)
) WITHOUT ROWID;
CREATE TABLE outcomes (
    model TEXT, id TEXT, label TEXT, n INTEGER, judged INTEGER, PRIMARY KEY (model, id)
) WITHOUT ROWID;
CREATE TABLE due (ready REAL, model TEXT, id TEXT, PRIMARY KEY (ready, model, id)) WITHOUT ROWID;
CREATE TABLE hours (
    model TEXT, version INTEGER, hour INTEGER, requests INTEGER, errors INTEGER, latencies TEXT,
    scores TEXT, losses TEXT, PRIMARY KEY (model, version, hour)
) WITHOUT ROWID;
CREATE TABLE tallies (
    rollout TEXT, part INTEGER, tally TEXT, PRIMARY KEY (rollout, part)
) WITHOUT ROWID;
CREATE TABLE seen (
    rollout TEXT, part INTEGER, unit TEXT, flags INTEGER, PRIMARY KEY (rollout, part, unit)
) WITHOUT ROWID;
CREATE TABLE rows (
    model TEXT, id TEXT, row TEXT, ready REAL, PRIMARY KEY (model, id)
) WITHOUT ROWID;
CREATE INDEX rows_ready ON rows (model, ready) WHERE ready IS NOT NULL;
"""
