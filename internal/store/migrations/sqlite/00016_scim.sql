-- +goose Up
-- What identity providers provision over SCIM. document is the canonical
-- resource; the columns beside it are what filters and sorting look at, folded
-- where the attribute is not case-exact. NULL: the attribute has no value.
CREATE TABLE scim_user (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  document TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  modified_at BIGINT NOT NULL,
  active BOOLEAN NOT NULL,
  user_name TEXT NOT NULL,
  external_id TEXT,
  display_name TEXT,
  nick_name TEXT,
  profile_url TEXT,
  title TEXT,
  user_type TEXT,
  preferred_language TEXT,
  locale TEXT,
  time_zone TEXT,
  formatted_name TEXT,
  family_name TEXT,
  given_name TEXT,
  middle_name TEXT,
  honorific_prefix TEXT,
  honorific_suffix TEXT,
  employee_number TEXT,
  cost_center TEXT,
  organization TEXT,
  division TEXT,
  department TEXT,
  manager_id TEXT,
  manager_ref TEXT,
  manager_name TEXT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX scim_user_name ON scim_user (tenant, user_name);
CREATE INDEX scim_user_external ON scim_user (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX scim_user_type ON scim_user (tenant, user_type, active);
CREATE INDEX scim_user_manager ON scim_user (tenant, manager_id) WHERE manager_id IS NOT NULL;

-- One row per element of a multi-valued attribute of a user.
CREATE TABLE scim_element (
  tenant BIGINT NOT NULL,
  user_id TEXT NOT NULL,
  attribute TEXT NOT NULL,
  n BIGINT NOT NULL,
  value TEXT,
  display TEXT,
  type TEXT,
  ref TEXT,
  formatted TEXT,
  street_address TEXT,
  locality TEXT,
  region TEXT,
  postal_code TEXT,
  country TEXT,
  primary_one BOOLEAN,
  PRIMARY KEY (tenant, user_id, attribute, n)
) WITHOUT ROWID;
-- Longer values, such as certificates, are beyond what an index can hold.
CREATE INDEX scim_element_value ON scim_element (tenant, attribute, value) WHERE value IS NOT NULL AND length(value) <= 1024;

CREATE TABLE scim_group (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  document TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  modified_at BIGINT NOT NULL,
  display_name TEXT NOT NULL,
  external_id TEXT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX scim_group_name ON scim_group (tenant, display_name);
CREATE INDEX scim_group_external ON scim_group (tenant, external_id) WHERE external_id IS NOT NULL;

-- member_type is User or Group, as the canonical resource says.
CREATE TABLE scim_member (
  tenant BIGINT NOT NULL,
  group_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  member_type TEXT NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (tenant, group_id, member_id)
) WITHOUT ROWID;
CREATE INDEX scim_member_of ON scim_member (tenant, member_id);

-- Who was disabled or deleted where SCIM decides who works here, until the
-- guard has seen the whole set. passed_at: it let them go. protected: they stay,
-- as long as the Organization protects them.
CREATE TABLE scim_leaver (
  tenant BIGINT NOT NULL,
  user_id TEXT NOT NULL,
  user_name TEXT NOT NULL,
  since BIGINT NOT NULL,
  passed_at BIGINT,
  protected BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (tenant, user_id)
) WITHOUT ROWID;
CREATE INDEX scim_leaver_name ON scim_leaver (tenant, user_name);
CREATE INDEX scim_leaver_waiting ON scim_leaver (tenant, since) WHERE passed_at IS NULL;

-- What the identity provider called a user who is deleted: whoever is provisioned
-- under the userName again is the same person only if it agrees.
CREATE TABLE scim_former_user (
  tenant BIGINT NOT NULL,
  user_id TEXT NOT NULL,
  external_id TEXT NOT NULL,
  PRIMARY KEY (tenant, user_id)
) WITHOUT ROWID;

-- since: the address was somebody else's before, and what was seen before is not
-- of whom it stands for now. 0: it always was.
ALTER TABLE person_mail ADD COLUMN since BIGINT NOT NULL DEFAULT 0;

-- The first cycle of the tenant's identity provider, until nobody was added for a
-- while: what it says of people is initial.
CREATE TABLE scim_first_cycle (
  tenant BIGINT NOT NULL,
  last_added_at BIGINT NOT NULL,
  over BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (tenant)
);

-- Each request of an identity provider: names of attributes, never values.
CREATE TABLE scim_log (
  tenant BIGINT NOT NULL,
  id TEXT NOT NULL,
  at BIGINT NOT NULL,
  key_id TEXT NOT NULL,
  key_name TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT '',
  method TEXT NOT NULL,
  route TEXT NOT NULL,
  resource_id TEXT NOT NULL DEFAULT '',
  status INTEGER NOT NULL,
  scim_type TEXT NOT NULL DEFAULT '',
  correlation_id TEXT NOT NULL DEFAULT '',
  changed TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE INDEX scim_log_at ON scim_log (tenant, at);

-- A person's manager is found again when one person changes, without a look
-- at all others.
CREATE INDEX person_manager_email ON person (tenant, manager_email) WHERE manager_email <> '';
CREATE INDEX person_manager_external ON person (tenant, manager_source, manager_external_id) WHERE manager_external_id <> '';
