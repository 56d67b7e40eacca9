-- +goose Up
-- dedupe_until: 0 lets the key count for as long as the row is kept. due_at is
-- when handling is tried again. key_id names the key that sealed the body.
ALTER TABLE inbox ADD COLUMN dedupe_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN due_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
DROP INDEX inbox_new;
CREATE INDEX inbox_new ON inbox (received_at, id) WHERE state = 'new';
CREATE INDEX inbox_dead ON inbox (tenant, endpoint) WHERE state = 'dead';
CREATE INDEX inbox_ended ON inbox (tenant, handled_at) WHERE state <> 'new';
