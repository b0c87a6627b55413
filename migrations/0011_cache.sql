-- Answers that were kept until then are to be forgotten, by every process that uses this database.
CREATE TABLE cache_flushes (
    project_id TEXT    NOT NULL,                         -- '': of all projects
    model      TEXT    NOT NULL,                         -- '': of all models
    at_ms      INTEGER NOT NULL,                         -- unix milliseconds
    PRIMARY KEY (project_id, model)
) STRICT, WITHOUT ROWID;

-- Tokens of answers that were given again: they are used, and no limit counts them.
ALTER TABLE usage_minutes ADD COLUMN free_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hours   ADD COLUMN free_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_days    ADD COLUMN free_tokens INTEGER NOT NULL DEFAULT 0;
