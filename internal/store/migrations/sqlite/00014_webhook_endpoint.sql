-- +goose Up
-- Where vendors and senders post. The path of an endpoint is a credential: only
-- its keyed digest is here, and that of the path before it until its time ends.
CREATE TABLE webhook_endpoint (
  tenant BIGINT NOT NULL,
  owner_kind TEXT NOT NULL,
  owner_name TEXT NOT NULL,
  webhook TEXT NOT NULL,
  owner_uid TEXT NOT NULL,
  digest TEXT NOT NULL,
  previous_digest TEXT NOT NULL DEFAULT '',
  previous_until BIGINT NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}',
  asked_at BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, owner_kind, owner_name, webhook)
);
CREATE UNIQUE INDEX webhook_endpoint_digest ON webhook_endpoint (tenant, digest);
CREATE INDEX webhook_endpoint_previous ON webhook_endpoint (tenant, previous_digest) WHERE previous_digest <> '';
