-- What usage, limits and policies are counted and set by.
CREATE TABLE projects (
    id          TEXT    NOT NULL PRIMARY KEY,            -- proj_…
    name        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,                        -- unix seconds
    archived_at INTEGER                                  -- unix seconds; its keys no longer work
) STRICT;
