-- Candidates that are pending, the looks at the rows that decide, and the best version so far.
ALTER TABLE models ADD COLUMN "candidate_fact" TEXT;
ALTER TABLE models ADD COLUMN "candidate_recipe" TEXT;
ALTER TABLE models ADD COLUMN "candidate_due" BIGINT;
ALTER TABLE models ADD COLUMN "candidate_since" DOUBLE PRECISION;
ALTER TABLE models ADD COLUMN "best" BIGINT;
ALTER TABLE models ADD COLUMN "best_bundle" TEXT;

ALTER TABLE decisions ADD COLUMN "look" BIGINT;
ALTER TABLE decisions ADD COLUMN "level" DOUBLE PRECISION;
ALTER TABLE decisions ADD COLUMN "rows" BIGINT;
ALTER TABLE decisions ADD COLUMN "digest" TEXT;
ALTER TABLE decisions ADD COLUMN "judged" TEXT;
ALTER TABLE decisions ADD COLUMN "best_before" BIGINT;
ALTER TABLE decisions ADD COLUMN "surpasses" BIGINT;
