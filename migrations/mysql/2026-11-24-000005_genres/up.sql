-- A genre. name_key is its name with the case folded; movies is the number of movies that have it.
CREATE TABLE IF NOT EXISTS genres (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    name_key VARCHAR(192) NOT NULL UNIQUE,
    slug VARCHAR(90) NOT NULL UNIQUE,
    movies BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
