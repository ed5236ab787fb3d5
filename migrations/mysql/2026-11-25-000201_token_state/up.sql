-- The one row (id = 1) that orders all changes of tokens: a random stamp of the last one, which replicas look at with each poll, and the next id to give.
CREATE TABLE IF NOT EXISTS token_state (
    id INT NOT NULL PRIMARY KEY,
    stamp BIGINT NOT NULL,
    next_id BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
