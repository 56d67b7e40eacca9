-- +goose Up
-- What many audit records have in common, once: who did what to which kind of
-- thing, why, and what came of it. The id is a digest of the rest. fields are the
-- names of the details. Like the records, these are only ever added.
CREATE TABLE audit_matter (
  tenant BIGINT NOT NULL,
  id BLOB NOT NULL,
  actor TEXT NOT NULL,
  actor_kind TEXT NOT NULL,
  action TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  object_name TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  cause TEXT NOT NULL DEFAULT '',
  result TEXT NOT NULL,
  fields TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (tenant, id)
);
-- An audit row names a person by id and commitment only; what identifies them
-- sits in audit_subject, which anonymising deletes (decision 29). Rows commit
-- unchained; a sealer fills seq and chain_hash in batches. Identifiers and
-- digests, and details as a list of them, are packed: see packed.go.
CREATE TABLE audit (
  tenant BIGINT NOT NULL,
  at BIGINT NOT NULL,
  seq BIGINT,
  id BLOB NOT NULL,
  matter BLOB NOT NULL,
  person_id TEXT NOT NULL DEFAULT '',
  commitment BLOB NOT NULL,
  run_id BLOB NOT NULL,
  request_digest BLOB NOT NULL,
  details BLOB NOT NULL,
  chain_hash TEXT,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX audit_run ON audit (tenant, run_id);

CREATE TABLE audit_subject (
  tenant BIGINT NOT NULL,
  audit_id BLOB NOT NULL,
  person_id TEXT NOT NULL,
  salt TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (tenant, audit_id)
);
CREATE INDEX audit_subject_person ON audit_subject (tenant, person_id);
