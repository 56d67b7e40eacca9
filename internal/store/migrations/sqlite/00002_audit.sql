-- +goose Up
-- An audit row names a person by id and commitment only; what identifies them
-- sits in audit_subject, which anonymising deletes (decision 29). Rows commit
-- unchained; a sealer fills seq and chain_hash in batches.
CREATE TABLE audit (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  actor_kind TEXT NOT NULL,
  action TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  object_name TEXT NOT NULL,
  person_id TEXT NOT NULL DEFAULT '',
  commitment TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  cause TEXT NOT NULL DEFAULT '',
  run_id TEXT NOT NULL DEFAULT '',
  request_digest TEXT NOT NULL DEFAULT '',
  result TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '{}',
  seq BIGINT,
  chain_hash TEXT,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX audit_run ON audit (tenant, run_id) WHERE run_id <> '';

CREATE TABLE audit_subject (
  tenant BIGINT NOT NULL,
  audit_id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  salt TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (tenant, audit_id)
);
CREATE INDEX audit_subject_person ON audit_subject (tenant, person_id);
