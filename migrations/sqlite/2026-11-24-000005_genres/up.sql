-- A genre. name_key is its name with the case folded; movies is the number of movies that have it.
CREATE TABLE IF NOT EXISTS genres (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    movies INTEGER NOT NULL
);
