-- Versions that were made by teaching another one new rows, and the rhythm of full trainings.
ALTER TABLE models ADD COLUMN "full_n" INTEGER;
ALTER TABLE models ADD COLUMN "updates" INTEGER;
ALTER TABLE models ADD COLUMN "full_time" REAL;

ALTER TABLE versions ADD COLUMN "base" INTEGER;
ALTER TABLE versions ADD COLUMN "rows_learned" INTEGER;
ALTER TABLE versions ADD COLUMN "new_rows" INTEGER;
