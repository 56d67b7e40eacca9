-- +goose Up
-- What policies found and what came of it. policy_state is the snapshot that
-- a run's recheck reads, so that the engine needs no Kubernetes API.
CREATE TABLE policy_state (
  tenant BIGINT NOT NULL,
  policy TEXT NOT NULL,
  uid TEXT NOT NULL,
  generation BIGINT NOT NULL,
  app TEXT NOT NULL DEFAULT '',
  mode TEXT NOT NULL DEFAULT 'Report',
  suspended BOOLEAN NOT NULL DEFAULT FALSE,
  rules TEXT NOT NULL,
  counts TEXT NOT NULL DEFAULT '{}',
  data_version BIGINT NOT NULL DEFAULT 0,
  evaluated_at BIGINT,
  -- the scheduled instant up to which runs were started
  acted_at BIGINT,
  removed_at BIGINT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, policy)
);

-- row_hash covers what a person would call a change; last use moves daily for
-- an active seat and is read from the inventory instead.
CREATE TABLE finding (
  tenant BIGINT NOT NULL,
  policy TEXT NOT NULL,
  integration TEXT NOT NULL,
  account TEXT NOT NULL,
  plan TEXT NOT NULL,
  person_id TEXT NOT NULL DEFAULT '',
  class TEXT NOT NULL,
  used TEXT NOT NULL,
  reason TEXT NOT NULL,
  since TEXT NOT NULL DEFAULT '',
  evidence TEXT NOT NULL DEFAULT '{}',
  annual_minor BIGINT,
  currency TEXT NOT NULL DEFAULT '',
  row_hash BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, policy, integration, account, plan)
);
CREATE INDEX finding_class ON finding (tenant, policy, class, since);
CREATE INDEX finding_seat ON finding (tenant, integration, account);

-- An answer that keeps a seat; one per seat and policy, the latest wins.
CREATE TABLE keep (
  tenant BIGINT NOT NULL,
  policy TEXT NOT NULL,
  integration TEXT NOT NULL,
  account TEXT NOT NULL,
  plan TEXT NOT NULL,
  person_id TEXT NOT NULL DEFAULT '',
  until_at BIGINT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  kept_by TEXT NOT NULL,
  run_id TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, policy, integration, account, plan)
);

-- Prices as contracts and applications declare them, per vendor plan, so that
-- the transaction that reclaims a seat can book what that is worth.
CREATE TABLE seat_price (
  tenant BIGINT NOT NULL,
  policy TEXT NOT NULL,
  integration TEXT NOT NULL,
  plan TEXT NOT NULL,
  price TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, policy, integration, plan)
);

-- Appended to and never changed. dedupe_key makes booking exactly once.
CREATE TABLE ledger (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  amount_minor BIGINT,
  currency TEXT NOT NULL DEFAULT '',
  quantity BIGINT NOT NULL DEFAULT 1,
  app TEXT NOT NULL DEFAULT '',
  policy TEXT NOT NULL DEFAULT '',
  integration TEXT NOT NULL DEFAULT '',
  account TEXT NOT NULL DEFAULT '',
  plan TEXT NOT NULL DEFAULT '',
  person_id TEXT NOT NULL DEFAULT '',
  department TEXT NOT NULL DEFAULT '',
  contract TEXT NOT NULL DEFAULT '',
  contract_line TEXT NOT NULL DEFAULT '',
  effective_on TEXT NOT NULL DEFAULT '',
  run_id TEXT NOT NULL DEFAULT '',
  decided_by TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  dedupe_key TEXT NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, dedupe_key)
);
CREATE INDEX ledger_kind ON ledger (tenant, kind, currency);
CREATE INDEX ledger_policy ON ledger (tenant, policy, kind);
CREATE INDEX ledger_contract ON ledger (tenant, contract, contract_line) WHERE contract <> '';
