-- A movie. title_key is its title with the case folded; times are seconds since 1970 UTC.
CREATE TABLE IF NOT EXISTS movies (
    id INTEGER NOT NULL PRIMARY KEY,
    imdb_id TEXT UNIQUE,
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    year INTEGER,
    runtime_minutes INTEGER,
    rating DOUBLE,
    votes INTEGER,
    popularity DOUBLE,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
