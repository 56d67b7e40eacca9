-- +goose Up
-- The inbox is a file of its own on SQLite; this keeps the version numbers of
-- both dialects equal.
SELECT 1;
