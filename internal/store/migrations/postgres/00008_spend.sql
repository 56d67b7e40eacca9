-- +goose Up
-- Money spent and contracts held, as sources report them. The names avoid
-- keywords; what users declare is the kind Contract and no row of these.
-- Amounts are minor units of the ISO 4217 currency beside them.
CREATE TABLE spend_transaction (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  external_id TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  booked_on TEXT NOT NULL,
  amount_minor BIGINT NOT NULL,
  currency TEXT NOT NULL,
  vendor_name TEXT NOT NULL,
  vendor_external_id TEXT NOT NULL DEFAULT '',
  mcc TEXT NOT NULL DEFAULT '',
  description TEXT NOT NULL DEFAULT '',
  payer_email TEXT NOT NULL DEFAULT '',
  department TEXT NOT NULL DEFAULT '',
  gl_account TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT '',
  receipt_url TEXT NOT NULL DEFAULT '',
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (tenant, source, stream, external_id)
);
CREATE INDEX spend_transaction_booked ON spend_transaction (tenant, booked_on);

-- lines is JSON: [{"planKey", "quantity", "unitCostMinor"}].
CREATE TABLE reported_contract (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  stream TEXT NOT NULL,
  external_id TEXT NOT NULL,
  part TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL,
  app_hint TEXT NOT NULL,
  start_date TEXT NOT NULL DEFAULT '',
  end_date TEXT NOT NULL DEFAULT '',
  auto_renew BOOLEAN NOT NULL DEFAULT FALSE,
  notice_days BIGINT,
  value_minor BIGINT,
  currency TEXT NOT NULL DEFAULT '',
  billing_period TEXT NOT NULL DEFAULT '',
  owner_email TEXT NOT NULL DEFAULT '',
  lines TEXT NOT NULL DEFAULT '',
  document_url TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL DEFAULT '',
  row_hash BIGINT NOT NULL,
  aux_hash BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  observed_since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (tenant, source, stream, external_id)
);
