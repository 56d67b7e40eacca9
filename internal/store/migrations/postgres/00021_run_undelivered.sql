-- +goose Up
-- The runs of a definition that could not tell everybody whom they should.
CREATE INDEX run_undelivered ON run (tenant, kind, name, ended_at) WHERE outcome = 'undelivered' OR reason = 'NotDelivered';
