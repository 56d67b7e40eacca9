-- +goose Up
-- whole_at is when everything of a stream was last read, where the syncs since
-- have read only what changed; null where the last one read everything.
ALTER TABLE stream_state ADD COLUMN whole_at BIGINT;
