-- Keys with an owner of their own, scopes, limits and a successor: the table is made anew because
-- SQLite cannot change the conditions of a column.
CREATE TABLE new_api_keys (
    id                   TEXT    NOT NULL PRIMARY KEY,   -- key_…
    kind                 TEXT    NOT NULL CHECK (kind IN ('project', 'admin')),
    name                 TEXT    NOT NULL,
    project_id           TEXT    REFERENCES projects (id),          -- of a project key
    user_id              TEXT    REFERENCES users (id),             -- owner
    service_account_id   TEXT    REFERENCES service_accounts (id),  -- or this is the owner
    pepper_id            TEXT    NOT NULL,
    digest               BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- Of the key that this one replaced, which works until then.
    previous_pepper_id   TEXT,
    previous_digest      BLOB    UNIQUE CHECK (length(previous_digest) = 32),
    previous_expires_at  INTEGER,
    last4                TEXT    NOT NULL,
    scopes               TEXT,                           -- JSON: array; none: all of its kind
    models               TEXT,                           -- JSON: array; none: all of the project's
    limits               TEXT    NOT NULL DEFAULT '{}',  -- JSON, see limits::LimitSet
    guardrail_policy     TEXT,
    created_at           INTEGER NOT NULL,               -- unix seconds, as all that follow
    last_used_at         INTEGER,
    expires_at           INTEGER,
    revoked_at           INTEGER,
    CHECK ((kind = 'project') = (project_id IS NOT NULL)),
    CHECK (kind = 'project' OR user_id IS NOT NULL),
    CHECK (user_id IS NULL OR service_account_id IS NULL)
) STRICT;
INSERT INTO new_api_keys (id, kind, name, project_id, user_id, pepper_id, digest, last4, created_at,
                          last_used_at, expires_at, revoked_at)
SELECT id, kind, name, project_id, user_id, pepper_id, digest, last4, created_at,
       last_used_at, expires_at, revoked_at
FROM api_keys;
DROP TABLE api_keys;
ALTER TABLE new_api_keys RENAME TO api_keys;
CREATE INDEX api_keys_project ON api_keys (project_id);
CREATE INDEX api_keys_user ON api_keys (user_id);
CREATE INDEX api_keys_service_account ON api_keys (service_account_id);
