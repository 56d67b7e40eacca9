-- +goose Up
-- Facts are keyed (tenant, source, stream, …): source is the internal id of one
-- connected account (integration_state.id), so that an Integration whose remote
-- account changes, or that is re-created, never mixes two accounts' rows.
-- removed_at is a tombstone; row_hash covers identity and licence fields,
-- aux_hash what changes by itself (last activity, custom fields).

CREATE TABLE tenant_counter (
  tenant BIGINT NOT NULL,
  name TEXT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);

CREATE TABLE tenant_facts (
  tenant BIGINT NOT NULL PRIMARY KEY,
  facts TEXT NOT NULL
);

-- One row: updating it orders the commits of state versions, which a sequence
-- would not.
CREATE TABLE state_clock (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  version BIGINT NOT NULL
);
INSERT INTO state_clock (id, version) VALUES (1, 0);

CREATE TABLE integration_state (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  name TEXT NOT NULL,
  uid TEXT NOT NULL DEFAULT '',
  generation BIGINT NOT NULL DEFAULT 0,
  connector TEXT NOT NULL,
  spec TEXT NOT NULL DEFAULT '{}',
  secret_version TEXT NOT NULL DEFAULT '',
  requested_at TEXT NOT NULL DEFAULT '',
  accept_account TEXT NOT NULL DEFAULT '',
  interval_ms BIGINT NOT NULL DEFAULT 0,
  retry_interval_ms BIGINT NOT NULL DEFAULT 0,
  suspended BOOLEAN NOT NULL DEFAULT FALSE,
  due_at BIGINT,
  failures BIGINT NOT NULL DEFAULT 0,
  owner TEXT NOT NULL DEFAULT '',
  epoch BIGINT NOT NULL DEFAULT 0,
  lease_until BIGINT NOT NULL DEFAULT 0,
  state_version BIGINT NOT NULL DEFAULT 0,
  data_version BIGINT NOT NULL DEFAULT 0,
  status TEXT NOT NULL DEFAULT '',
  remote_id TEXT NOT NULL DEFAULT '',
  remote_name TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  first_synced_at BIGINT,
  last_synced_at BIGINT,
  hidden_at BIGINT,
  purge_at BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX integration_state_name ON integration_state (tenant, name) WHERE hidden_at IS NULL;
CREATE INDEX integration_state_due ON integration_state (due_at) WHERE hidden_at IS NULL AND NOT suspended;
CREATE INDEX integration_state_version ON integration_state (state_version);
CREATE INDEX integration_state_purge ON integration_state (purge_at) WHERE hidden_at IS NOT NULL;

CREATE TABLE stream_state (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  generation BIGINT NOT NULL DEFAULT 0,
  completed_at BIGINT,
  covers_from BIGINT,
  covers_until BIGINT,
  activity_reported BOOLEAN NOT NULL DEFAULT FALSE,
  state TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, source, stream)
);

-- Stage tables of syncs that have not finished, so that the next sync of the
-- same source drops what a crash left.
CREATE TABLE sync_stage (
  tenant BIGINT NOT NULL,
  table_name TEXT NOT NULL,
  source BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, table_name)
);

CREATE TABLE person (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  api_id BIGINT NOT NULL,
  employee_id TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '',
  display_name TEXT NOT NULL DEFAULT '',
  given_name TEXT NOT NULL DEFAULT '',
  family_name TEXT NOT NULL DEFAULT '',
  title TEXT NOT NULL DEFAULT '',
  department TEXT NOT NULL DEFAULT '',
  division TEXT NOT NULL DEFAULT '',
  cost_center TEXT NOT NULL DEFAULT '',
  location TEXT NOT NULL DEFAULT '',
  time_zone TEXT NOT NULL DEFAULT '',
  employment_type TEXT NOT NULL DEFAULT '',
  manager_id TEXT NOT NULL DEFAULT '',
  manager_email TEXT NOT NULL DEFAULT '',
  manager_source BIGINT NOT NULL DEFAULT 0,
  manager_external_id TEXT NOT NULL DEFAULT '',
  start_date TEXT NOT NULL DEFAULT '',
  end_date TEXT NOT NULL DEFAULT '',
  lifecycle TEXT NOT NULL DEFAULT '',
  period INTEGER NOT NULL DEFAULT 1,
  photo_url TEXT NOT NULL DEFAULT '',
  custom TEXT NOT NULL DEFAULT '',
  hidden BOOLEAN NOT NULL DEFAULT FALSE,
  first_seen_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, api_id)
);
CREATE INDEX person_email ON person (tenant, email);
CREATE INDEX person_start ON person (tenant, start_date) WHERE start_date <> '';
CREATE INDEX person_end ON person (tenant, end_date) WHERE end_date <> '';
CREATE INDEX person_manager ON person (tenant, manager_id) WHERE manager_id <> '';

CREATE TABLE person_source (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  external_id TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL,
  aliases TEXT NOT NULL DEFAULT '',
  display_name TEXT NOT NULL DEFAULT '',
  given_name TEXT NOT NULL DEFAULT '',
  family_name TEXT NOT NULL DEFAULT '',
  title TEXT NOT NULL DEFAULT '',
  department TEXT NOT NULL DEFAULT '',
  division TEXT NOT NULL DEFAULT '',
  cost_center TEXT NOT NULL DEFAULT '',
  location TEXT NOT NULL DEFAULT '',
  time_zone TEXT NOT NULL DEFAULT '',
  employee_id TEXT NOT NULL DEFAULT '',
  employment_type TEXT NOT NULL DEFAULT '',
  manager_email TEXT NOT NULL DEFAULT '',
  manager_external_id TEXT NOT NULL DEFAULT '',
  start_date TEXT NOT NULL DEFAULT '',
  end_date TEXT NOT NULL DEFAULT '',
  lifecycle TEXT NOT NULL DEFAULT '',
  photo_url TEXT NOT NULL DEFAULT '',
  custom TEXT NOT NULL DEFAULT '',
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  person_id TEXT NOT NULL DEFAULT '',
  -- the employee id when the row was linked: another one is another person.
  linked_employee_id TEXT NOT NULL DEFAULT '',
  -- 0: merged into its person; 1: still to be merged; 2: still to be merged, by
  -- a first load or a change of configuration, whose events are initial.
  dirty BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, source, external_id, stream)
);
CREATE INDEX person_source_person ON person_source (tenant, person_id) WHERE person_id <> '';
CREATE INDEX person_source_dirty ON person_source (tenant, source, external_id) WHERE dirty > 0;

CREATE TABLE person_identifier (
  tenant BIGINT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  person_id TEXT NOT NULL,
  PRIMARY KEY (tenant, kind, value, person_id)
);
CREATE INDEX person_identifier_person ON person_identifier (tenant, person_id);

-- An address that stands for exactly one person.
CREATE TABLE person_mail (
  tenant BIGINT NOT NULL,
  mail TEXT NOT NULL,
  person_id TEXT NOT NULL,
  PRIMARY KEY (tenant, mail)
);

CREATE TABLE person_review (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  external_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  candidates TEXT NOT NULL DEFAULT '[]',
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, source, external_id)
);

CREATE TABLE account (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  app_external_id TEXT NOT NULL DEFAULT '',
  external_id TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  person_key TEXT NOT NULL DEFAULT '',
  person_external_id TEXT NOT NULL DEFAULT '',
  username TEXT NOT NULL DEFAULT '',
  display_name TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL,
  raw_status TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL DEFAULT 'human',
  role TEXT NOT NULL DEFAULT '',
  is_admin BOOLEAN NOT NULL DEFAULT FALSE,
  mfa BOOLEAN,
  granted_via TEXT NOT NULL DEFAULT '',
  created_at BIGINT,
  activity_reported BOOLEAN NOT NULL DEFAULT FALSE,
  last_activity_at BIGINT,
  last_activity_source TEXT NOT NULL DEFAULT '',
  custom TEXT NOT NULL DEFAULT '',
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  person_id TEXT NOT NULL DEFAULT '',
  paid BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (tenant, source, app_external_id, external_id, stream)
);
CREATE INDEX account_person ON account (tenant, person_id) WHERE person_id <> '';
CREATE INDEX account_person_key ON account (tenant, person_key) WHERE person_key <> '';
CREATE INDEX account_person_external ON account (tenant, source, person_external_id) WHERE person_external_id <> '';
CREATE INDEX account_last_used ON account (tenant, source, last_activity_at) WHERE paid AND status = 'active' AND removed_at IS NULL;

CREATE TABLE plan (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  plan_key TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL,
  paid BOOLEAN NOT NULL DEFAULT FALSE,
  purchased BIGINT,
  used BIGINT,
  unit_cost_minor BIGINT,
  currency TEXT NOT NULL DEFAULT '',
  period TEXT NOT NULL DEFAULT '',
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (tenant, source, stream, plan_key)
);

-- holder is the account's external id, or "mail:" and the person key where the
-- source names no account; account_external_id is filled in later for those.
CREATE TABLE assignment (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  holder TEXT NOT NULL,
  plan_key TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  account_external_id TEXT NOT NULL DEFAULT '',
  person_key TEXT NOT NULL DEFAULT '',
  plan_name TEXT NOT NULL DEFAULT '',
  paid BOOLEAN NOT NULL DEFAULT FALSE,
  state TEXT NOT NULL,
  assigned_at BIGINT,
  granted_via TEXT NOT NULL DEFAULT '',
  external_id TEXT NOT NULL DEFAULT '',
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (tenant, source, stream, holder, plan_key)
);
CREATE INDEX assignment_account ON assignment (tenant, source, account_external_id);

CREATE TABLE directory_group (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  external_id TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '',
  updated_at BIGINT,
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (tenant, source, stream, external_id)
);
CREATE INDEX directory_group_name ON directory_group (tenant, name);

CREATE TABLE membership (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  group_external_id TEXT NOT NULL,
  account_external_id TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  role TEXT NOT NULL DEFAULT '',
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (tenant, source, stream, group_external_id, account_external_id)
);
CREATE INDEX membership_account ON membership (tenant, source, account_external_id);

CREATE TABLE discovered_app (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  external_id TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL,
  catalog_hint TEXT NOT NULL DEFAULT '',
  url TEXT NOT NULL DEFAULT '',
  origin TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  sso_mode TEXT NOT NULL DEFAULT '',
  scopes TEXT NOT NULL DEFAULT '',
  unverified BOOLEAN NOT NULL DEFAULT FALSE,
  reported_first_seen_at BIGINT,
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  api_id BIGINT,
  PRIMARY KEY (tenant, source, stream, external_id)
);
CREATE UNIQUE INDEX discovered_app_api ON discovered_app (tenant, api_id);

-- Proof of use: a row per account, app, kind and day. subject is "account:",
-- "person:" or "mail:" and the id that the source gave.
CREATE TABLE usage_day (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  day TEXT NOT NULL,
  app_external_id TEXT NOT NULL DEFAULT '',
  subject TEXT NOT NULL,
  kind TEXT NOT NULL,
  count BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  origin TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, source, stream, day, app_external_id, subject, kind)
);
CREATE TABLE usage_last (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  app_external_id TEXT NOT NULL DEFAULT '',
  subject TEXT NOT NULL,
  kind TEXT NOT NULL,
  last_at BIGINT NOT NULL,
  origin TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, source, app_external_id, subject, kind, stream)
);

CREATE TABLE trigger_event (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  source BIGINT NOT NULL DEFAULT 0,
  initial BOOLEAN NOT NULL DEFAULT FALSE,
  payload TEXT NOT NULL DEFAULT '{}',
  created_at BIGINT NOT NULL,
  state TEXT NOT NULL DEFAULT 'new',
  handled_at BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX trigger_event_new ON trigger_event (tenant, created_at, id) WHERE state = 'new';

CREATE TABLE guard_hold (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject_kind TEXT NOT NULL,
  subject_name TEXT NOT NULL,
  digest TEXT NOT NULL,
  count BIGINT NOT NULL,
  total BIGINT NOT NULL,
  allowed BIGINT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  released_at BIGINT,
  released_by TEXT NOT NULL DEFAULT '',
  applying BOOLEAN NOT NULL DEFAULT FALSE,
  superseded_at BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX guard_hold_current ON guard_hold (tenant, kind, subject_kind, subject_name) WHERE superseded_at IS NULL;
CREATE TABLE guard_hold_item (
  tenant BIGINT NOT NULL,
  hold_id TEXT NOT NULL,
  item TEXT NOT NULL,
  label TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, hold_id, item)
);

CREATE TABLE lane (
  tenant BIGINT NOT NULL,
  integration TEXT NOT NULL,
  lane_key TEXT NOT NULL,
  -- millionths of a token, so that the arithmetic is exact and portable
  tokens BIGINT NOT NULL,
  refilled_at BIGINT NOT NULL,
  blocked_until BIGINT NOT NULL DEFAULT 0,
  revision BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, integration, lane_key)
);

CREATE TABLE sealed_secret (
  tenant BIGINT NOT NULL,
  name TEXT NOT NULL,
  key_id TEXT NOT NULL,
  nonce BYTEA NOT NULL,
  ciphertext BYTEA NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);

CREATE TABLE upload (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  integration TEXT NOT NULL,
  name TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX upload_integration ON upload (tenant, integration, created_at);
CREATE TABLE upload_chunk (
  tenant BIGINT NOT NULL,
  upload_id TEXT NOT NULL,
  n BIGINT NOT NULL,
  bytes BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, upload_id, n)
);
