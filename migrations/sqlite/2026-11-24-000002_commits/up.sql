-- A short log of what was committed: tells whether a COMMIT whose answer was lost took place, and whether this is still the same database.
CREATE TABLE IF NOT EXISTS commits (
    revision INTEGER NOT NULL PRIMARY KEY,
    stamp INTEGER NOT NULL
);
