-- +goose Up
CREATE TABLE inbox (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  dedupe_key TEXT NOT NULL,
  body BYTEA NOT NULL,
  headers TEXT NOT NULL DEFAULT '{}',
  received_at BIGINT NOT NULL,
  state TEXT NOT NULL DEFAULT 'new',
  handled_at BIGINT,
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, endpoint, dedupe_key)
);
CREATE INDEX inbox_new ON inbox (tenant, received_at) WHERE state = 'new';
