-- The chained facts, and the tables that core.project derives from them.
-- A derived column may be empty: a fact sets only what it knows.

CREATE TABLE schema_version (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    time REAL NOT NULL
);

CREATE TABLE facts (
    n INTEGER PRIMARY KEY CHECK (n >= 1),
    id TEXT NOT NULL UNIQUE,
    time REAL NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE models (
    "model" TEXT NOT NULL,
    "recipe" TEXT,
    "recipe_number" INTEGER,
    "recipe_fact" TEXT,
    "recipe_n" INTEGER,
    "snapshot" TEXT,
    "source" TEXT,
    "spec" TEXT,
    "held" INTEGER,
    "paused" INTEGER,
    "rows" INTEGER,
    "data_version" INTEGER,
    "data_fact" TEXT,
    "data_n" INTEGER,
    "contract" TEXT,
    "covered" INTEGER,
    "covered_recipe" TEXT,
    "versions" INTEGER,
    "running" TEXT,
    "run_n" INTEGER,
    "retrain_fact" TEXT,
    "retrain_n" INTEGER,
    "last_run" TEXT,
    "last_cause" TEXT,
    "last_kind" TEXT,
    "last_attempt" INTEGER,
    "last_again" INTEGER,
    "last_ended" REAL,
    "champion" INTEGER,
    "champion_bundle" TEXT,
    "candidate" INTEGER,
    PRIMARY KEY ("model")
);

CREATE TABLE data_versions (
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "n" INTEGER,
    "digest" TEXT,
    "rows" INTEGER,
    "first_row" INTEGER,
    "table_version" INTEGER,
    "fact" TEXT,
    "time" REAL,
    "sources" TEXT,
    "notices" TEXT,
    "quarantine" TEXT,
    PRIMARY KEY ("model", "version")
);
CREATE INDEX data_versions_by_n ON data_versions (n);

CREATE TABLE quarantine (
    "model" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "n" INTEGER,
    "digest" TEXT,
    "rows" INTEGER,
    "findings" TEXT,
    "findings_count" INTEGER,
    "sources" TEXT,
    "blobs" TEXT,
    "state" TEXT,
    "reason" TEXT,
    "data_version" INTEGER,
    "time" REAL,
    PRIMARY KEY ("model", "id")
);
CREATE INDEX quarantine_by_n ON quarantine (n);

CREATE TABLE runs (
    "run" TEXT NOT NULL,
    "n" INTEGER,
    "model" TEXT,
    "cause" TEXT,
    "cause_kind" TEXT,
    "attempt" INTEGER,
    "data_version" INTEGER,
    "recipe" TEXT,
    "champion" INTEGER,
    "seed" INTEGER,
    "environment" TEXT,
    "state" TEXT,
    "step" TEXT,
    "started" REAL,
    "ended" REAL,
    "bundle" TEXT,
    "peak_memory" INTEGER,
    "rows_trained" INTEGER,
    "log" TEXT,
    "error" TEXT,
    "verdict" TEXT,
    "version" INTEGER,
    "seconds" REAL,
    PRIMARY KEY ("run")
);
CREATE INDEX runs_by_n ON runs (n);
CREATE INDEX runs_by_model_n ON runs (model, n);

CREATE TABLE versions (
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "n" INTEGER,
    "state" TEXT,
    "served" INTEGER,
    "replaced" INTEGER,
    "run" TEXT,
    "bundle" TEXT,
    "runtime" TEXT,
    "recipe" TEXT,
    "data_version" INTEGER,
    "time" REAL,
    PRIMARY KEY ("model", "version")
);
CREATE INDEX versions_by_n ON versions (n);
CREATE INDEX versions_by_model_n ON versions (model, n);

CREATE TABLE decisions (
    "run" TEXT NOT NULL,
    "n" INTEGER,
    "model" TEXT,
    "version" INTEGER,
    "decision" TEXT,
    "champion_before" INTEGER,
    "time" REAL,
    PRIMARY KEY ("run")
);
CREATE INDEX decisions_by_n ON decisions (n);
CREATE INDEX decisions_by_model_version ON decisions (model, version);

CREATE TABLE deployments (
    "model" TEXT NOT NULL,
    "version" INTEGER,
    "bundle" TEXT,
    "previous" INTEGER,
    "previous_bundle" TEXT,
    "generation" INTEGER,
    "time" REAL,
    PRIMARY KEY ("model")
);
