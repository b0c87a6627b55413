-- One row for every answered request. No foreign keys: the record of what was used outlives
-- whoever used it, and must never be refused.
CREATE TABLE usage (
    seq            INTEGER PRIMARY KEY,                  -- order of recording
    request_id     TEXT    NOT NULL UNIQUE,
    created_at_ms  INTEGER NOT NULL,                     -- unix milliseconds, arrival
    api_key_id     TEXT    NOT NULL,
    project_id     TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    endpoint       TEXT    NOT NULL,
    stream         INTEGER NOT NULL,
    status         INTEGER NOT NULL,                     -- HTTP; 499: the client left
    outcome        TEXT    NOT NULL,                     -- completed, failed, cancelled
    finish_reason  TEXT,
    error          TEXT,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    cached_tokens  INTEGER NOT NULL,
    queue_ms       INTEGER NOT NULL,
    first_token_ms INTEGER,
    duration_ms    INTEGER NOT NULL
) STRICT;
