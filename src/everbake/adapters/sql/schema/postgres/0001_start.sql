-- The chained facts, and the tables that core.project derives from them.
-- A derived column may be empty: a fact sets only what it knows.

CREATE TABLE schema_version (
    number BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    time DOUBLE PRECISION NOT NULL
);

CREATE TABLE facts (
    n BIGINT PRIMARY KEY CHECK (n >= 1),
    id TEXT NOT NULL UNIQUE,
    time DOUBLE PRECISION NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
);

-- One row: the end of the chain, and which owner may append (each new one raises the epoch).
CREATE TABLE head (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    n BIGINT NOT NULL,
    hash TEXT NOT NULL,
    epoch BIGINT NOT NULL
);

INSERT INTO head (one, n, hash, epoch) VALUES (1, 0, repeat('0', 64), 0);

CREATE TABLE models (
    "model" TEXT COLLATE "C" NOT NULL,
    "recipe" TEXT,
    "recipe_number" BIGINT,
    "recipe_fact" TEXT,
    "recipe_n" BIGINT,
    "snapshot" TEXT,
    "source" TEXT,
    "spec" TEXT,
    "held" BIGINT,
    "paused" BIGINT,
    "rows" BIGINT,
    "data_version" BIGINT,
    "data_fact" TEXT,
    "data_n" BIGINT,
    "contract" TEXT,
    "covered" BIGINT,
    "covered_recipe" TEXT,
    "versions" BIGINT,
    "running" TEXT,
    "run_n" BIGINT,
    "retrain_fact" TEXT,
    "retrain_n" BIGINT,
    "last_run" TEXT,
    "last_cause" TEXT,
    "last_kind" TEXT,
    "last_attempt" BIGINT,
    "last_again" BIGINT,
    "last_ended" DOUBLE PRECISION,
    "champion" BIGINT,
    "champion_bundle" TEXT,
    "candidate" BIGINT,
    PRIMARY KEY ("model")
);

CREATE TABLE data_versions (
    "model" TEXT COLLATE "C" NOT NULL,
    "version" BIGINT NOT NULL,
    "n" BIGINT,
    "digest" TEXT,
    "rows" BIGINT,
    "first_row" BIGINT,
    "table_version" BIGINT,
    "fact" TEXT,
    "time" DOUBLE PRECISION,
    "sources" TEXT,
    "notices" TEXT,
    "quarantine" TEXT,
    PRIMARY KEY ("model", "version")
);
CREATE INDEX data_versions_by_n ON data_versions (n DESC NULLS LAST);

CREATE TABLE quarantine (
    "model" TEXT COLLATE "C" NOT NULL,
    "id" TEXT COLLATE "C" NOT NULL,
    "n" BIGINT,
    "digest" TEXT,
    "rows" BIGINT,
    "findings" TEXT,
    "findings_count" BIGINT,
    "sources" TEXT,
    "blobs" TEXT,
    "state" TEXT,
    "reason" TEXT,
    "data_version" BIGINT,
    "time" DOUBLE PRECISION,
    PRIMARY KEY ("model", "id")
);
CREATE INDEX quarantine_by_n ON quarantine (n DESC NULLS LAST);

CREATE TABLE runs (
    "run" TEXT COLLATE "C" NOT NULL,
    "n" BIGINT,
    "model" TEXT,
    "cause" TEXT,
    "cause_kind" TEXT,
    "attempt" BIGINT,
    "data_version" BIGINT,
    "recipe" TEXT,
    "champion" BIGINT,
    "seed" BIGINT,
    "environment" TEXT,
    "state" TEXT,
    "step" TEXT,
    "started" DOUBLE PRECISION,
    "ended" DOUBLE PRECISION,
    "bundle" TEXT,
    "peak_memory" BIGINT,
    "rows_trained" BIGINT,
    "log" TEXT,
    "error" TEXT,
    "verdict" TEXT,
    "version" BIGINT,
    "seconds" DOUBLE PRECISION,
    PRIMARY KEY ("run")
);
CREATE INDEX runs_by_n ON runs (n DESC NULLS LAST);
CREATE INDEX runs_by_model_n ON runs (model, n DESC NULLS LAST);

CREATE TABLE versions (
    "model" TEXT COLLATE "C" NOT NULL,
    "version" BIGINT NOT NULL,
    "n" BIGINT,
    "state" TEXT,
    "served" BIGINT,
    "replaced" BIGINT,
    "run" TEXT,
    "bundle" TEXT,
    "runtime" TEXT,
    "recipe" TEXT,
    "data_version" BIGINT,
    "time" DOUBLE PRECISION,
    PRIMARY KEY ("model", "version")
);
CREATE INDEX versions_by_n ON versions (n DESC NULLS LAST);
CREATE INDEX versions_by_model_n ON versions (model, n DESC NULLS LAST);

CREATE TABLE decisions (
    "run" TEXT COLLATE "C" NOT NULL,
    "n" BIGINT,
    "model" TEXT,
    "version" BIGINT,
    "decision" TEXT,
    "champion_before" BIGINT,
    "time" DOUBLE PRECISION,
    PRIMARY KEY ("run")
);
CREATE INDEX decisions_by_n ON decisions (n DESC NULLS LAST);
CREATE INDEX decisions_by_model_version ON decisions (model, version);

CREATE TABLE deployments (
    "model" TEXT COLLATE "C" NOT NULL,
    "version" BIGINT,
    "bundle" TEXT,
    "previous" BIGINT,
    "previous_bundle" TEXT,
    "generation" BIGINT,
    "time" DOUBLE PRECISION,
    PRIMARY KEY ("model")
);
