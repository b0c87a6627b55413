-- Sums are made of many rows at once; whoever reads them adds the rows that are not in them yet.
CREATE TABLE usage_summed (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    seq    INTEGER NOT NULL,                             -- rows up to this one are in the sums
    prunes INTEGER NOT NULL                              -- how often rows have gone, and their places with them
) STRICT;
INSERT INTO usage_summed SELECT 1, coalesce(max(seq), 0), 0 FROM usage;

-- A name that no model was reached by may be made up, and must not fill the sums; moderations have
-- no tokens. A request that a limit refused has used none of it.
CREATE VIEW usage_unsummed AS
SELECT seq, created_at_ms / 1000 AS at, project_id, api_key_id, coalesce(user_id, '') AS user_id,
       CASE WHEN is_unknown THEN '' ELSE model END AS model, endpoint,
       NOT (is_unknown AND status = 429) AS requests, input_tokens, output_tokens, cached_tokens,
       cost_nanousd,
       CASE WHEN cache = 'HIT' THEN input_tokens + output_tokens ELSE 0 END AS free_tokens
FROM (SELECT *, input_tokens = 0 AND NOT (endpoint = 'moderations' AND status = 200) AS is_unknown
      FROM usage WHERE seq > (SELECT seq FROM usage_summed));

CREATE VIEW usage_by_minute AS
SELECT start, project_id, api_key_id, user_id, model, endpoint, requests, input_tokens,
       output_tokens, cached_tokens, cost_nanousd, free_tokens
FROM usage_minutes
UNION ALL
SELECT at / 60 * 60, project_id, api_key_id, user_id, model, endpoint, requests, input_tokens,
       output_tokens, cached_tokens, cost_nanousd, free_tokens
FROM usage_unsummed;
CREATE VIEW usage_by_hour AS
SELECT start, project_id, api_key_id, user_id, model, endpoint, requests, input_tokens,
       output_tokens, cached_tokens, cost_nanousd, free_tokens
FROM usage_hours
UNION ALL
SELECT at / 3600 * 3600, project_id, api_key_id, user_id, model, endpoint, requests, input_tokens,
       output_tokens, cached_tokens, cost_nanousd, free_tokens
FROM usage_unsummed;
CREATE VIEW usage_by_day AS
SELECT start, project_id, api_key_id, user_id, model, endpoint, requests, input_tokens,
       output_tokens, cached_tokens, cost_nanousd, free_tokens
FROM usage_days
UNION ALL
SELECT at / 86400 * 86400, project_id, api_key_id, user_id, model, endpoint, requests,
       input_tokens, output_tokens, cached_tokens, cost_nanousd, free_tokens
FROM usage_unsummed;
