-- Who changed what. Rows are never changed or removed; each carries the hash (HMAC-SHA-256 under a
-- key outside the database) of itself and, through `previous`, of all before it.
CREATE TABLE audit (
    seq             INTEGER NOT NULL PRIMARY KEY,        -- 1, 2, 3… without gaps
    id              TEXT    NOT NULL UNIQUE,             -- audit_log-…
    at_ms           INTEGER NOT NULL,                    -- unix milliseconds
    type            TEXT    NOT NULL,                    -- OpenAI's event name, or ours
    actor_kind      TEXT    NOT NULL
                    CHECK (actor_kind IN ('session', 'api_key', 'command_line', 'server', 'anonymous')),
    actor_id        TEXT,                                -- sess_… or key_…
    user_id         TEXT,                                -- who that is, or is said to be
    project_id      TEXT,
    details         TEXT    NOT NULL,                    -- JSON; no secret, no prompt, no person's data
    personal_digest BLOB    CHECK (length(personal_digest) = 32),
    previous        BLOB    NOT NULL CHECK (length(previous) = 32),
    hash            BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
-- Each also in the order in which the audit is read: by time, then (SQLite adds it) by `seq`.
CREATE INDEX audit_at ON audit (at_ms);
CREATE INDEX audit_type ON audit (type, at_ms);
CREATE INDEX audit_actor ON audit (actor_id, at_ms);
CREATE INDEX audit_user ON audit (user_id, at_ms);
CREATE INDEX audit_project ON audit (project_id, at_ms);
CREATE INDEX audit_subject ON audit (json_extract(details, '$.id'), at_ms);

-- What of an audit row is a person's data, apart from it, so that a person can be erased and the
-- chain still holds: the chain has only `personal_digest`, which covers this row and its salt.
CREATE TABLE audit_personal (
    seq        INTEGER NOT NULL PRIMARY KEY REFERENCES audit (seq),
    user_id    TEXT,                                     -- whose
    ip         TEXT,
    user_agent TEXT,
    salt       BLOB    NOT NULL CHECK (length(salt) = 16)
) STRICT;
CREATE INDEX audit_personal_user ON audit_personal (user_id);

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never removed'); END;
CREATE TRIGGER audit_personal_no_update BEFORE UPDATE ON audit_personal
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_personal_no_delete BEFORE DELETE ON audit_personal
WHEN NOT EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id AND erased_at IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'only a person who was erased leaves the audit'); END;
