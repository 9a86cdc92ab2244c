-- Versions that take over by a rollout, and what their steps rested on.
ALTER TABLE models ADD COLUMN "winner" INTEGER;
ALTER TABLE models ADD COLUMN "winner_bundle" TEXT;
ALTER TABLE models ADD COLUMN "rollout" TEXT;

ALTER TABLE deployments ADD COLUMN "challenger" INTEGER;
ALTER TABLE deployments ADD COLUMN "challenger_bundle" TEXT;
ALTER TABLE deployments ADD COLUMN "rollout" TEXT;
ALTER TABLE deployments ADD COLUMN "kind" TEXT;
ALTER TABLE deployments ADD COLUMN "unit" TEXT;
ALTER TABLE deployments ADD COLUMN "salt" TEXT;
ALTER TABLE deployments ADD COLUMN "share" REAL;

CREATE TABLE rollouts (
    "rollout" TEXT NOT NULL,
    "n" INTEGER,
    "model" TEXT,
    "version" INTEGER,
    "bundle" TEXT,
    "champion" INTEGER,
    "plan" TEXT,
    "part" INTEGER,
    "stage" INTEGER,
    "state" TEXT,
    "opened" REAL,
    "part_opened" REAL,
    "stage_opened" REAL,
    "ended" REAL,
    "reason" TEXT,
    PRIMARY KEY ("rollout")
);
CREATE INDEX rollouts_by_model_state ON rollouts (model, state);

CREATE TABLE rollout_steps (
    "rollout" TEXT NOT NULL,
    "at" INTEGER NOT NULL,
    "n" INTEGER,
    "model" TEXT,
    "version" INTEGER,
    "step" TEXT,
    "because" TEXT,
    "evidence" TEXT,
    "time" REAL,
    PRIMARY KEY ("rollout", "at")
);
CREATE INDEX rollout_steps_by_model ON rollout_steps (model, n);
