-- +goose Up
-- Runs are rows: (revision, cursor, vars) is all that a waiting run costs. See
-- docs/design/engine.md. shard and replica are the installation's, not a
-- tenant's, and so have no tenant column.
CREATE TABLE shard (
  id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL DEFAULT '',
  epoch BIGINT NOT NULL DEFAULT 0,
  lease_until BIGINT NOT NULL DEFAULT 0
);
-- 64 shards, fixed at install: a run's shard is a hash of its id.
INSERT INTO shard (id)
  WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63) SELECT i FROM n;

-- A replica's heartbeat, so that shards can be shared out evenly.
CREATE TABLE replica (
  id TEXT PRIMARY KEY,
  lease_until BIGINT NOT NULL
);

CREATE TABLE workflow_revision (
  tenant BIGINT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  revision BIGINT NOT NULL,
  spec_hash TEXT NOT NULL,
  spec TEXT NOT NULL,
  author TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, kind, name, revision),
  UNIQUE (tenant, kind, name, spec_hash)
);

-- Columns of fixed width come first: between others they would be padded.
CREATE TABLE run (
  tenant BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  version BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  ended_at BIGINT,
  stop_requested_at BIGINT,
  shard INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  id TEXT NOT NULL,
  parent_id TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  trigger_kind TEXT NOT NULL,
  trigger_key TEXT NOT NULL,
  subject TEXT NOT NULL DEFAULT '',
  person_id TEXT NOT NULL DEFAULT '',
  cause TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  outcome TEXT NOT NULL DEFAULT '',
  step_path TEXT NOT NULL DEFAULT '',
  cursor TEXT NOT NULL DEFAULT '{}',
  vars TEXT NOT NULL DEFAULT '{}',
  archive BYTEA, -- cursor and vars of a run that has ended
  lane TEXT NOT NULL DEFAULT '',
  stop_requested_by TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, kind, name, trigger_key)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX run_due ON run (lane, priority, due_at, shard) WHERE state IN ('ready', 'waiting', 'inflight');
-- Those among the many that succeeded which people look for.
CREATE INDEX run_recent ON run (tenant, id, state) WHERE state IN ('attention', 'failed', 'stopped');
CREATE INDEX run_failed ON run (tenant, kind, name, id) WHERE state = 'failed';
CREATE INDEX run_subject ON run (tenant, kind, name, subject) WHERE ended_at IS NULL;
CREATE INDEX run_person ON run (tenant, person_id, id) WHERE person_id <> '';

CREATE TABLE attempt (
  tenant BIGINT NOT NULL,
  deadline_at BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT,
  loop_ix INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  n INTEGER NOT NULL,
  status_code INTEGER NOT NULL DEFAULT 0,
  run_id TEXT NOT NULL,
  step_path TEXT NOT NULL,
  state TEXT NOT NULL,
  integration TEXT NOT NULL,
  action TEXT NOT NULL,
  class TEXT NOT NULL,
  idem_key BYTEA NOT NULL, -- packed, as request_digest is: see packed.go
  request_digest BYTEA NOT NULL,
  result TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, run_id, step_path, loop_ix, generation, n)
);

CREATE TABLE prompt (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  step_path TEXT NOT NULL,
  stage INTEGER NOT NULL DEFAULT 0,
  purpose TEXT NOT NULL,
  token_hash TEXT NOT NULL,
  state TEXT NOT NULL,
  assignees TEXT NOT NULL,
  options TEXT NOT NULL,
  subject TEXT NOT NULL DEFAULT '{}',
  messages TEXT NOT NULL DEFAULT '[]',
  expires_at BIGINT NOT NULL,
  answer TEXT NOT NULL DEFAULT '',
  answered_by TEXT NOT NULL DEFAULT '',
  answer_reason TEXT NOT NULL DEFAULT '',
  answered_at BIGINT,
  closed_reason TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, token_hash)
);
CREATE INDEX prompt_run ON prompt (tenant, run_id);
