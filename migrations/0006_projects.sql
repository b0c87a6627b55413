ALTER TABLE projects ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';  -- JSON, see limits::LimitSet
ALTER TABLE projects ADD COLUMN guardrail_policy TEXT;
ALTER TABLE projects ADD COLUMN data_retention TEXT NOT NULL DEFAULT 'organization_default';

CREATE TABLE project_members (
    project_id TEXT    NOT NULL REFERENCES projects (id),
    user_id    TEXT    NOT NULL REFERENCES users (id),
    role       TEXT    NOT NULL CHECK (role IN ('owner', 'member')),
    added_at   INTEGER NOT NULL,                         -- unix seconds
    PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX project_members_user ON project_members (user_id);

CREATE TABLE service_accounts (
    id         TEXT    NOT NULL PRIMARY KEY,             -- svc_acct_…
    project_id TEXT    NOT NULL REFERENCES projects (id),
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('owner', 'member', 'none')),
    created_at INTEGER NOT NULL,                         -- unix seconds
    deleted_at INTEGER
) STRICT;
CREATE INDEX service_accounts_project ON service_accounts (project_id);

-- Which models a project may use; no row: all of them.
CREATE TABLE model_permissions (
    project_id TEXT NOT NULL PRIMARY KEY REFERENCES projects (id),
    mode       TEXT NOT NULL CHECK (mode IN ('allow_list', 'deny_list')),
    model_ids  TEXT NOT NULL                             -- JSON: array of names
) STRICT;

-- Where a project's limits for a model differ from the configured ones.
CREATE TABLE rate_limits (
    project_id          TEXT NOT NULL REFERENCES projects (id),
    model               TEXT NOT NULL,
    requests_per_minute INTEGER CHECK (requests_per_minute >= 0),
    tokens_per_minute   INTEGER CHECK (tokens_per_minute >= 0),
    requests_per_day    INTEGER CHECK (requests_per_day >= 0),
    PRIMARY KEY (project_id, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE spend_alerts (
    id             TEXT    NOT NULL PRIMARY KEY,         -- alert_…
    project_id     TEXT    REFERENCES projects (id),     -- none: the whole organization
    threshold      INTEGER NOT NULL CHECK (threshold >= 0),  -- US cents a month
    recipients     TEXT    NOT NULL,                     -- JSON: array of e-mail addresses
    subject_prefix TEXT,
    created_at     INTEGER NOT NULL,                     -- unix seconds
    fired_month    INTEGER                               -- year * 12 + month - 1, when last reached
) STRICT;

-- What holds for everybody: one row.
CREATE TABLE organization (
    id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    limits         TEXT    NOT NULL DEFAULT '{}',        -- JSON, see limits::LimitSet
    data_retention TEXT    NOT NULL DEFAULT 'modified_abuse_monitoring',
    usage_days     INTEGER CHECK (usage_days >= 1),      -- none: usage rows are kept for ever
    configuration  TEXT                                  -- JSON: as of the last start
) STRICT;
INSERT INTO organization (id) VALUES (1);

-- Whoever managed the server until now owns its first project.
INSERT INTO project_members (project_id, user_id, role, added_at)
SELECT p.id, u.id, 'owner', u.created_at
FROM users u, (SELECT id FROM projects ORDER BY created_at, id LIMIT 1) p;
UPDATE users SET default_project_id = (SELECT id FROM projects ORDER BY created_at, id LIMIT 1);
