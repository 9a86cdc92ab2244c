-- Candidates that are pending, the looks at the rows that decide, and the best version so far.
ALTER TABLE models ADD COLUMN "candidate_fact" TEXT;
ALTER TABLE models ADD COLUMN "candidate_recipe" TEXT;
ALTER TABLE models ADD COLUMN "candidate_due" INTEGER;
ALTER TABLE models ADD COLUMN "candidate_since" REAL;
ALTER TABLE models ADD COLUMN "best" INTEGER;
ALTER TABLE models ADD COLUMN "best_bundle" TEXT;

ALTER TABLE decisions ADD COLUMN "look" INTEGER;
ALTER TABLE decisions ADD COLUMN "level" REAL;
ALTER TABLE decisions ADD COLUMN "rows" INTEGER;
ALTER TABLE decisions ADD COLUMN "digest" TEXT;
ALTER TABLE decisions ADD COLUMN "judged" TEXT;
ALTER TABLE decisions ADD COLUMN "best_before" INTEGER;
ALTER TABLE decisions ADD COLUMN "surpasses" INTEGER;
