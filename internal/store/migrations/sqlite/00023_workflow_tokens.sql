-- +goose Up
-- What the bodies that a Workflow's webhook received have, as paths with types;
-- empty: nothing was received.
ALTER TABLE workflow ADD COLUMN tokens TEXT NOT NULL DEFAULT '';
