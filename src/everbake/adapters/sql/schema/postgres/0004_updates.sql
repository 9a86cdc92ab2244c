-- Versions that were made by teaching another one new rows, and the rhythm of full trainings.
ALTER TABLE models ADD COLUMN "full_n" BIGINT;
ALTER TABLE models ADD COLUMN "updates" BIGINT;
ALTER TABLE models ADD COLUMN "full_time" DOUBLE PRECISION;

ALTER TABLE versions ADD COLUMN "base" BIGINT;
ALTER TABLE versions ADD COLUMN "rows_learned" BIGINT;
ALTER TABLE versions ADD COLUMN "new_rows" BIGINT;
