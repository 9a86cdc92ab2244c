-- Versions that take over by a rollout, and what their steps rested on.
ALTER TABLE models ADD COLUMN "winner" BIGINT;
ALTER TABLE models ADD COLUMN "winner_bundle" TEXT;
ALTER TABLE models ADD COLUMN "rollout" TEXT;

ALTER TABLE deployments ADD COLUMN "challenger" BIGINT;
ALTER TABLE deployments ADD COLUMN "challenger_bundle" TEXT;
ALTER TABLE deployments ADD COLUMN "rollout" TEXT;
ALTER TABLE deployments ADD COLUMN "kind" TEXT;
ALTER TABLE deployments ADD COLUMN "unit" TEXT;
ALTER TABLE deployments ADD COLUMN "salt" TEXT;
ALTER TABLE deployments ADD COLUMN "share" DOUBLE PRECISION;

CREATE TABLE rollouts (
    "rollout" TEXT COLLATE "C" NOT NULL,
    "n" BIGINT,
    "model" TEXT,
    "version" BIGINT,
    "bundle" TEXT,
    "champion" BIGINT,
    "plan" TEXT,
    "part" BIGINT,
    "stage" BIGINT,
    "state" TEXT,
    "opened" DOUBLE PRECISION,
    "part_opened" DOUBLE PRECISION,
    "stage_opened" DOUBLE PRECISION,
    "ended" DOUBLE PRECISION,
    "reason" TEXT,
    PRIMARY KEY ("rollout")
);
CREATE INDEX rollouts_by_model_state ON rollouts (model, state);

CREATE TABLE rollout_steps (
    "rollout" TEXT COLLATE "C" NOT NULL,
    "at" BIGINT NOT NULL,
    "n" BIGINT,
    "model" TEXT,
    "version" BIGINT,
    "step" TEXT,
    "because" TEXT,
    "evidence" TEXT,
    "time" DOUBLE PRECISION,
    PRIMARY KEY ("rollout", "at")
);
CREATE INDEX rollout_steps_by_model ON rollout_steps (model, n);
