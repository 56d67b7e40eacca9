-- +goose Up
-- The rules of time zones by which the waits of a shard's runs were resolved: a
-- digest. Where the owner has others, they are resolved again.
ALTER TABLE shard ADD COLUMN zones TEXT NOT NULL DEFAULT '';
