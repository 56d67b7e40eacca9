-- +goose Up
-- A link by which somebody without access to the cluster supplies the credential
-- of an Integration. The token is there as keyed digest only; what was supplied
-- lies in sealed_secret as delegation/ID until the manager has written it into
-- the Secret. state is open, submitted, written, refused or superseded.
CREATE TABLE delegation (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  token_digest TEXT NOT NULL,
  integration TEXT NOT NULL,
  integration_uid TEXT NOT NULL,
  secret_name TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  submitted_at BIGINT,
  ended_at BIGINT,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, token_digest)
);
CREATE INDEX delegation_integration ON delegation (tenant, integration) WHERE state = 'open';
CREATE INDEX delegation_submitted ON delegation (submitted_at) WHERE state = 'submitted';
