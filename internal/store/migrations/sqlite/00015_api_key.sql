-- +goose Up
-- An APIKey as its resource declares it. removed_at: the resource is gone; the
-- row stays for a while, so that later uses can be told apart from unknown ones.
-- changed_at: a token was made or revoked, which the resource's status shows.
CREATE TABLE api_key (
  tenant BIGINT NOT NULL,
  name TEXT NOT NULL,
  uid TEXT NOT NULL,
  type TEXT NOT NULL,
  description TEXT NOT NULL,
  scopes TEXT NOT NULL,
  networks TEXT NOT NULL,
  overlap_ms BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT,
  revoked_by TEXT NOT NULL DEFAULT '',
  removed_at BIGINT,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, name)
);
CREATE INDEX api_key_changed ON api_key (changed_at);
-- The tokens that were issued for it, as digest only. ends_at: replaced by a
-- rotation, works until then. deliver_to: the Secret that holds the token from
-- delivered_at to withdrawn_at.
CREATE TABLE api_key_token (
  tenant BIGINT NOT NULL,
  key_id TEXT NOT NULL,
  name TEXT NOT NULL,
  uid TEXT NOT NULL,
  digest BLOB NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  last_used_at BIGINT,
  ends_at BIGINT,
  revoked_at BIGINT,
  deliver_to TEXT NOT NULL DEFAULT '',
  delivered_at BIGINT,
  withdrawn_at BIGINT,
  PRIMARY KEY (tenant, key_id)
);
CREATE INDEX api_key_token_name ON api_key_token (tenant, name, created_at);
