-- +goose Up
-- Whether the run that waits for the end of this one has taken what it came to,
-- and need not read it again.
ALTER TABLE run ADD COLUMN settled BOOLEAN NOT NULL DEFAULT FALSE;
-- The accounts of others that the runs of a Workflow have taken access from, each
-- by a digest, for the Workflow's guard.
CREATE TABLE removal (
  tenant BIGINT NOT NULL,
  workflow TEXT NOT NULL,
  target TEXT NOT NULL,
  root_id TEXT NOT NULL,
  taken_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, workflow, target)
);
CREATE INDEX removal_taken ON removal (tenant, workflow, taken_at);
-- The one that a run is about to take, as it stands at the guard. wants is how many
-- more the run may come to ask for, this one among them.
CREATE TABLE removal_ask (
  tenant BIGINT NOT NULL,
  run_id TEXT NOT NULL,
  root_id TEXT NOT NULL,
  workflow TEXT NOT NULL,
  target TEXT NOT NULL,
  wants BIGINT NOT NULL,
  held BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (tenant, run_id)
);
CREATE INDEX removal_ask_held ON removal_ask (tenant, workflow) WHERE held;
-- What a person let a run, and those below it, take beyond the guard: approved in
-- all, and what is left of it.
CREATE TABLE removal_pass (
  tenant BIGINT NOT NULL,
  root_id TEXT NOT NULL,
  approved BIGINT NOT NULL,
  unused BIGINT NOT NULL,
  PRIMARY KEY (tenant, root_id)
);
