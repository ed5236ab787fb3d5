-- The movies whose ids share id >> 8: the revision and stamp that last changed them, and how many there are.
CREATE TABLE IF NOT EXISTS segments (
    segment INTEGER NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    movies INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS segments_by_revision ON segments (revision);
