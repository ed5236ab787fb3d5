-- A movie. title_key is its title with the case folded; times are seconds since 1970 UTC.
CREATE TABLE IF NOT EXISTS movies (
    id BIGINT NOT NULL PRIMARY KEY,
    imdb_id VARCHAR(12) UNIQUE,
    title VARCHAR(512) NOT NULL,
    title_key VARCHAR(1536) NOT NULL,
    year INT,
    runtime_minutes INT,
    rating DOUBLE,
    votes INT,
    popularity DOUBLE,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
