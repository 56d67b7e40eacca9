-- +goose Up
-- What a user wrote, as JSON, beside what it was compiled to, so that a
-- revision can be shown and committed again. Empty for those of policies, and
-- for those that were recorded before.
ALTER TABLE workflow_revision ADD COLUMN source TEXT NOT NULL DEFAULT '';
