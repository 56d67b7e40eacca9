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
