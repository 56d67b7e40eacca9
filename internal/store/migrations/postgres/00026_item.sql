-- +goose Up
-- Whether the run that waits for the end of this one has taken what it came to,
-- and need not read it again.
ALTER TABLE run ADD COLUMN settled BOOLEAN NOT NULL DEFAULT FALSE;
