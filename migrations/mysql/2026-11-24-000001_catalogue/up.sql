-- The one row (id = 1) that orders all writes of all replicas: the newest revision, its stamp, and the next ids to give.
CREATE TABLE IF NOT EXISTS catalogue (
    id INT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    next_movie_id BIGINT NOT NULL,
    next_genre_id BIGINT NOT NULL,
    next_director_id BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
