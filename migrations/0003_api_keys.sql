-- API keys. The key itself is never stored: `digest` is HMAC-SHA-256 of it under a pepper that
-- lies outside the database, so that a copy of this file lets nobody in and nobody can be let in
-- by writing to it.
CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY,           -- key_…
    kind         TEXT    NOT NULL CHECK (kind IN ('project', 'admin')),
    name         TEXT    NOT NULL,
    project_id   TEXT    REFERENCES projects (id),       -- of a project key
    user_id      TEXT    REFERENCES users (id),          -- owner of an admin key
    pepper_id    TEXT    NOT NULL,
    digest       BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    last4        TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,                       -- unix seconds, as all that follow
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    CHECK ((kind = 'project') = (project_id IS NOT NULL)),
    CHECK ((kind = 'admin') = (user_id IS NOT NULL))
) STRICT;
