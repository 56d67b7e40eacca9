-- +goose Up
-- Answers to pushes that had an Idempotency-Key, for a day.
CREATE TABLE push_answer (
  tenant BIGINT NOT NULL,
  integration TEXT NOT NULL,
  idem_key TEXT NOT NULL,
  digest TEXT NOT NULL,
  answer TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, integration, idem_key)
);
CREATE INDEX push_answer_created ON push_answer (tenant, created_at);

-- Files sent to the REST API, for a day, to be named by number afterwards.
CREATE TABLE api_file (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  bytes BYTEA NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
