-- What people are besides a password.
ALTER TABLE users ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN disabled_at INTEGER;        -- unix seconds; nothing of theirs works
ALTER TABLE users ADD COLUMN erased_at INTEGER;          -- unix seconds; e-mail and name are gone
ALTER TABLE users ADD COLUMN password_changed_at INTEGER;
-- The project that a session acts in unless a header names another.
ALTER TABLE users ADD COLUMN default_project_id TEXT REFERENCES projects (id);
ALTER TABLE users ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';  -- JSON, see limits::LimitSet
-- Of the second factor. Its secret is derived from this and a key outside the database.
ALTER TABLE users ADD COLUMN totp_nonce BLOB;
ALTER TABLE users ADD COLUMN totp_enabled_at INTEGER;    -- none: begun, not confirmed
ALTER TABLE users ADD COLUMN totp_last_step INTEGER;     -- a code counts once
-- At an outside issuer.
ALTER TABLE users ADD COLUMN oidc_subject TEXT;
ALTER TABLE users ADD COLUMN oidc_issued_at INTEGER;     -- unix seconds, of the latest token
CREATE UNIQUE INDEX users_oidc_subject ON users (oidc_subject);

-- In place of the second factor, each once.
CREATE TABLE recovery_codes (
    user_id TEXT    NOT NULL REFERENCES users (id),
    digest  BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    used_at INTEGER                                      -- unix seconds
) STRICT;
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

-- Signed-in people. Ended sessions stay, as a record.
CREATE TABLE sessions (
    id            TEXT    NOT NULL PRIMARY KEY,          -- sess_…
    user_id       TEXT    NOT NULL REFERENCES users (id),
    -- Number of the refresh token that is valid now: who shows an earlier one has stolen it, or was
    -- stolen from. The tokens themselves are made with a key outside the database.
    generation    INTEGER NOT NULL DEFAULT 0,
    second_factor INTEGER NOT NULL,                      -- 1: signed in with one
    ip            TEXT,
    user_agent    TEXT,
    created_at    INTEGER NOT NULL,                      -- unix seconds, as all that follow
    refreshed_at  INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    ended_at      INTEGER
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id, ip);

-- Invitations. The token that was handed out is stored as a digest only.
CREATE TABLE invites (
    id          TEXT    NOT NULL PRIMARY KEY,            -- invite-…
    email       TEXT    NOT NULL COLLATE NOCASE,
    role        TEXT    NOT NULL CHECK (role IN ('owner', 'reader')),
    projects    TEXT    NOT NULL DEFAULT '[]',           -- JSON: [{"id", "role"}]
    digest      BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at  INTEGER NOT NULL,                        -- unix seconds, as all that follow
    expires_at  INTEGER NOT NULL,
    accepted_at INTEGER,
    deleted_at  INTEGER
) STRICT;
