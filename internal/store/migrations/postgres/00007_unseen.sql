-- +goose Up
-- unseen_since is when a row that is still there was last read, where later
-- syncs of its stream finished without it: its partition failed, or its record
-- could not be mapped. What is known of such a row is as old as that.
ALTER TABLE account ADD COLUMN unseen_since BIGINT;
ALTER TABLE assignment ADD COLUMN unseen_since BIGINT;
CREATE INDEX account_unseen ON account (tenant, source, stream) WHERE unseen_since IS NOT NULL;
CREATE INDEX assignment_unseen ON assignment (tenant, source, stream) WHERE unseen_since IS NOT NULL;
