-- +goose Up
-- The Workflows of a namespace as their controller last checked them, for
-- whoever starts and lists them without the API server. What a run does is in
-- workflow_revision; revision is the one that new runs start with. One that is
-- deleted keeps its row, and with it its number.
CREATE TABLE workflow (
  tenant BIGINT NOT NULL,
  name TEXT NOT NULL,
  api_id BIGINT NOT NULL,
  display_name TEXT NOT NULL DEFAULT '',
  trigger_kind TEXT NOT NULL,
  subject TEXT NOT NULL DEFAULT '',
  direction TEXT NOT NULL DEFAULT '',
  revision BIGINT NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  message TEXT NOT NULL DEFAULT '',
  suspended BOOLEAN NOT NULL DEFAULT FALSE,
  dry_run BOOLEAN NOT NULL DEFAULT FALSE,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT,
  PRIMARY KEY (tenant, name),
  UNIQUE (tenant, api_id)
);
-- The action executions of a tenant, newest first.
CREATE INDEX attempt_recent ON attempt (tenant, started_at);
