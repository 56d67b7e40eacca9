-- +goose Up
-- The Applications that are declared in a namespace, as their controller last
-- summed them up, for whoever lists apps without a policy. seen_at is when the
-- controller last saw one: it looks at each every hour.
CREATE TABLE declared_app (
  tenant BIGINT NOT NULL,
  name TEXT NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  users BIGINT NOT NULL DEFAULT 0,
  paid BIGINT NOT NULL DEFAULT 0,
  unused BIGINT NOT NULL DEFAULT 0,
  unknown BIGINT NOT NULL DEFAULT 0,
  sources TEXT NOT NULL DEFAULT '[]',
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
