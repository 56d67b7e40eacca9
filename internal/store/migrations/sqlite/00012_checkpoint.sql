-- +goose Up
-- A listing that broke off may go on in the next sync: how many rows of which
-- stream are staged, the number of the last of them, and the connector's place.
ALTER TABLE sync_stage ADD COLUMN stream TEXT NOT NULL DEFAULT '';
ALTER TABLE sync_stage ADD COLUMN data_type TEXT NOT NULL DEFAULT '';
ALTER TABLE sync_stage ADD COLUMN staged BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sync_stage ADD COLUMN last_n BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sync_stage ADD COLUMN tombstones BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sync_stage ADD COLUMN place TEXT NOT NULL DEFAULT '';
