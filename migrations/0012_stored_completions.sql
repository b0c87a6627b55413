-- Chat completions that their callers wanted to be kept (`store`).
CREATE TABLE stored_completions (
    id         TEXT    NOT NULL PRIMARY KEY,             -- chatcmpl-…, in the order of creation
    project_id TEXT    NOT NULL REFERENCES projects (id),
    user_id    TEXT,                                     -- whose key or session; none: a service account's
    created_at INTEGER NOT NULL,                         -- unix seconds
    model      TEXT    NOT NULL,
    metadata   TEXT    NOT NULL,                         -- JSON: object of strings
    completion TEXT    NOT NULL,                         -- JSON: the answer
    messages   TEXT    NOT NULL                          -- JSON: array, what was asked as the guards let it through
) STRICT;
CREATE INDEX stored_completions_project ON stored_completions (project_id, id);
CREATE INDEX stored_completions_user ON stored_completions (user_id);
CREATE INDEX stored_completions_created ON stored_completions (created_at);

ALTER TABLE organization ADD COLUMN stored_days INTEGER CHECK (stored_days >= 1);  -- none: until they are deleted
