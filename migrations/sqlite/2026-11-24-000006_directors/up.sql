-- A director. name_key is the name with the case folded.
CREATE TABLE IF NOT EXISTS directors (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE
);
