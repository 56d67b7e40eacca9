-- +goose Up
-- What is known of an Application, for the runs that are about it; empty until
-- its controller has looked.
ALTER TABLE declared_app ADD COLUMN facts TEXT NOT NULL DEFAULT '';
-- The Contracts that are declared in a namespace, as their controller last saw
-- them. dated_at is since when they end when they do.
CREATE TABLE declared_contract (
  tenant BIGINT NOT NULL,
  name TEXT NOT NULL,
  app TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  end_date TEXT NOT NULL DEFAULT '',
  deadline TEXT NOT NULL DEFAULT '',
  facts TEXT NOT NULL DEFAULT '{}',
  dated_at BIGINT NOT NULL DEFAULT 0,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
CREATE INDEX declared_contract_app ON declared_contract (tenant, app);
-- The app, the contract or the seat that a start is about.
ALTER TABLE workflow_start ADD COLUMN subject TEXT NOT NULL DEFAULT '';
