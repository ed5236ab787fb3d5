-- A director. name_key is the name with the case folded.
CREATE TABLE IF NOT EXISTS directors (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(256) NOT NULL,
    name_key VARCHAR(768) NOT NULL UNIQUE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
