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
  trigger_spec TEXT NOT NULL DEFAULT '',
  scanned_at BIGINT NOT NULL DEFAULT 0,
  scan_at BIGINT,
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
-- What Workflows would answer with a run and have not: it waits for its moment or
-- for its Workflow, a guard holds it, or it was passed over. The key is that of
-- the run.
CREATE TABLE workflow_start (
  tenant BIGINT NOT NULL,
  workflow TEXT NOT NULL,
  trigger_key TEXT NOT NULL,
  kind TEXT NOT NULL,
  person_id TEXT NOT NULL DEFAULT '',
  label TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  data TEXT NOT NULL DEFAULT '{}',
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  happened_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  look_at BIGINT NOT NULL,
  decided_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, workflow, trigger_key)
);
CREATE INDEX workflow_start_look ON workflow_start (tenant, look_at) WHERE state <> 'skipped';
CREATE INDEX workflow_start_person ON workflow_start (tenant, person_id) WHERE state <> 'skipped';
-- What a guard counts.
CREATE INDEX run_started ON run (tenant, name, created_at) WHERE kind = 'Workflow' AND trigger_kind <> 'manual';
-- The action executions of a tenant, newest first.
CREATE INDEX attempt_recent ON attempt (tenant, started_at);
