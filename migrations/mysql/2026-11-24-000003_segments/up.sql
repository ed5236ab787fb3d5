-- The movies whose ids share id >> 8: the revision and stamp that last changed them, and how many there are.
CREATE TABLE IF NOT EXISTS segments (
    segment BIGINT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    movies INT NOT NULL,
    KEY segments_by_revision (revision)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
