-- +goose Up
-- What a run's concurrency key hashes to, and whether the run has one of the
-- places of that key. A run without a key is not bounded.
ALTER TABLE run ADD COLUMN slot_key TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN slot_held BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX run_slot ON run (tenant, kind, name, slot_key, slot_held, id) WHERE slot_key <> '' AND ended_at IS NULL;
-- The runs that a run has started.
CREATE INDEX run_parent ON run (tenant, parent_id) WHERE parent_id <> '';
