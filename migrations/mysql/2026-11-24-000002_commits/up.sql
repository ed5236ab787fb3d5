-- A short log of what was committed: tells whether a COMMIT whose answer was lost took place, and whether this is still the same database.
CREATE TABLE IF NOT EXISTS commits (
    revision BIGINT NOT NULL PRIMARY KEY,
    stamp BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
