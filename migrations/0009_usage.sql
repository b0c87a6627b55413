ALTER TABLE usage ADD COLUMN user_id TEXT;               -- whose key or session it was
ALTER TABLE usage ADD COLUMN cost_nanousd INTEGER NOT NULL DEFAULT 0;  -- billionths of a US dollar
ALTER TABLE usage ADD COLUMN guardrails TEXT;            -- verdict of the guardrails; none: not asked
ALTER TABLE usage ADD COLUMN cache TEXT;                 -- HIT, MISS, …; none: not asked
CREATE INDEX usage_created ON usage (created_at_ms);

-- Sums of `usage`, written with it, so that nobody has to read millions of rows. By the minute for
-- the last days, by the hour and by the day for good. Requests that reached no model have '' for
-- one.
CREATE TABLE usage_minutes (
    start         INTEGER NOT NULL,                      -- unix seconds, a whole minute
    project_id    TEXT    NOT NULL,
    api_key_id    TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,                      -- '': none
    model         TEXT    NOT NULL,
    endpoint      TEXT    NOT NULL,
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_nanousd  INTEGER NOT NULL,
    PRIMARY KEY (start, project_id, api_key_id, user_id, model, endpoint)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage_hours (
    start         INTEGER NOT NULL,                      -- unix seconds, a whole hour
    project_id    TEXT    NOT NULL,
    api_key_id    TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    endpoint      TEXT    NOT NULL,
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_nanousd  INTEGER NOT NULL,
    PRIMARY KEY (start, project_id, api_key_id, user_id, model, endpoint)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage_days (
    start         INTEGER NOT NULL,                      -- unix seconds, a whole day (UTC)
    project_id    TEXT    NOT NULL,
    api_key_id    TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    endpoint      TEXT    NOT NULL,
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_nanousd  INTEGER NOT NULL,
    PRIMARY KEY (start, project_id, api_key_id, user_id, model, endpoint)
) STRICT, WITHOUT ROWID;
INSERT INTO usage_minutes
SELECT created_at_ms / 60000 * 60, project_id, api_key_id, '',
       CASE WHEN input_tokens = 0 THEN '' ELSE model END, endpoint,
       count(*), sum(input_tokens), sum(output_tokens), sum(cached_tokens), 0
FROM usage WHERE created_at_ms >= (unixepoch() - 8 * 86400) * 1000 GROUP BY 1, 2, 3, 5, 6;
INSERT INTO usage_hours
SELECT created_at_ms / 3600000 * 3600, project_id, api_key_id, '',
       CASE WHEN input_tokens = 0 THEN '' ELSE model END, endpoint,
       count(*), sum(input_tokens), sum(output_tokens), sum(cached_tokens), 0
FROM usage GROUP BY 1, 2, 3, 5, 6;
INSERT INTO usage_days
SELECT created_at_ms / 86400000 * 86400, project_id, api_key_id, '',
       CASE WHEN input_tokens = 0 THEN '' ELSE model END, endpoint,
       count(*), sum(input_tokens), sum(output_tokens), sum(cached_tokens), 0
FROM usage GROUP BY 1, 2, 3, 5, 6;
