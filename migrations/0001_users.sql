-- People who manage the server. Their passwords are argon2id hashes in PHC form.
CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,          -- user-…
    email         TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL CHECK (role IN ('owner', 'reader')),
    created_at    INTEGER NOT NULL                       -- unix seconds
) STRICT;
