-- +goose Up
-- The custom fields of people that each source has given, with the numbers by
-- which REST clients know them. deleted_at: no record of the source has it now.
CREATE TABLE person_field (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  source BIGINT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  deleted_at BIGINT,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, source, name)
);

-- The Connectors that are declared in a namespace, for whoever asks what could
-- be connected. seen_at is when their controller last saw one.
CREATE TABLE own_connector (
  tenant BIGINT NOT NULL,
  name TEXT NOT NULL,
  title TEXT NOT NULL,
  category TEXT NOT NULL,
  domains TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
