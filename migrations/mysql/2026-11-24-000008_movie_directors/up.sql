-- Which directors a movie has, in their order.
CREATE TABLE IF NOT EXISTS movie_directors (
    movie_id BIGINT NOT NULL,
    position INT NOT NULL,
    director_id BIGINT NOT NULL,
    PRIMARY KEY (movie_id, position),
    KEY movie_directors_by_director (director_id, movie_id),
    FOREIGN KEY (movie_id) REFERENCES movies (id),
    FOREIGN KEY (director_id) REFERENCES directors (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
