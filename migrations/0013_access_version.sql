-- Changes whenever one of the tables does that say who may do what, and how much. Whoever remembers
-- what they said compares this number instead of asking again: a change counts for the next
-- request, whichever process or program made it.
CREATE TABLE access_version (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO access_version VALUES (1, 1);

-- Not when a key is used: that changes nothing, and happens all the time. Nor when there is a new
-- one: nobody remembers that there was none.
CREATE TRIGGER access_api_keys_update AFTER UPDATE ON api_keys
WHEN NEW.last_used_at IS OLD.last_used_at
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_api_keys_delete AFTER DELETE ON api_keys
BEGIN UPDATE access_version SET version = version + 1; END;

CREATE TRIGGER access_users_insert AFTER INSERT ON users
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_users_update AFTER UPDATE ON users
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_users_delete AFTER DELETE ON users
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_projects_insert AFTER INSERT ON projects
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_projects_update AFTER UPDATE ON projects
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_projects_delete AFTER DELETE ON projects
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_service_accounts_insert AFTER INSERT ON service_accounts
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_service_accounts_update AFTER UPDATE ON service_accounts
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_service_accounts_delete AFTER DELETE ON service_accounts
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_project_members_insert AFTER INSERT ON project_members
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_project_members_update AFTER UPDATE ON project_members
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_project_members_delete AFTER DELETE ON project_members
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_model_permissions_insert AFTER INSERT ON model_permissions
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_model_permissions_update AFTER UPDATE ON model_permissions
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_model_permissions_delete AFTER DELETE ON model_permissions
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_rate_limits_insert AFTER INSERT ON rate_limits
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_rate_limits_update AFTER UPDATE ON rate_limits
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_rate_limits_delete AFTER DELETE ON rate_limits
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_organization_insert AFTER INSERT ON organization
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_organization_update AFTER UPDATE ON organization
BEGIN UPDATE access_version SET version = version + 1; END;
CREATE TRIGGER access_organization_delete AFTER DELETE ON organization
BEGIN UPDATE access_version SET version = version + 1; END;
