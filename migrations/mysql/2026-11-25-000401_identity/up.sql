-- The one row (id = 1) that tells this database from any other, where several of them share a Redis: a random number, drawn once.
CREATE TABLE IF NOT EXISTS identity (
    id INT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
