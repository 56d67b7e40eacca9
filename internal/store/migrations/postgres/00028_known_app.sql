-- +goose Up
-- Which known app is what a source discovered: its slug in the catalogue, by
-- which rule, among which it cannot be told (a JSON list), and by which version
-- of the catalogue; empty: nobody has looked since the row changed.
ALTER TABLE discovered_app ADD COLUMN known_app TEXT NOT NULL DEFAULT '';
ALTER TABLE discovered_app ADD COLUMN known_rule TEXT NOT NULL DEFAULT '';
ALTER TABLE discovered_app ADD COLUMN known_among TEXT NOT NULL DEFAULT '';
ALTER TABLE discovered_app ADD COLUMN known_by TEXT NOT NULL DEFAULT '';
CREATE INDEX discovered_app_known_by ON discovered_app (tenant, known_by, source, stream, external_id);

-- The vendors of each source's transactions, each looked at once however often
-- it was paid.
CREATE TABLE spend_vendor (
  tenant BIGINT NOT NULL,
  source BIGINT NOT NULL,
  name TEXT NOT NULL,
  known_app TEXT NOT NULL DEFAULT '',
  known_rule TEXT NOT NULL DEFAULT '',
  known_among TEXT NOT NULL DEFAULT '',
  known_by TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, source, name)
);
CREATE INDEX spend_vendor_known_by ON spend_vendor (tenant, known_by, source, name);
CREATE INDEX spend_vendor_known_app ON spend_vendor (tenant, known_app);
-- It covers what is summed up.
CREATE INDEX spend_transaction_vendor ON spend_transaction (tenant, source, vendor_name, booked_on, currency, amount_minor) WHERE removed_at IS NULL;
INSERT INTO spend_vendor (tenant, source, name) SELECT DISTINCT tenant, source, vendor_name FROM spend_transaction;
