-- The one row (id = 1) that tells this database from any other, where several of them share a Redis: a random number, drawn once.
CREATE TABLE IF NOT EXISTS identity (
    id INTEGER NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
);
