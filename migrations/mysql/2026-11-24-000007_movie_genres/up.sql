-- Which genres a movie has, in their order.
CREATE TABLE IF NOT EXISTS movie_genres (
    movie_id BIGINT NOT NULL,
    position INT NOT NULL,
    genre_id BIGINT NOT NULL,
    PRIMARY KEY (movie_id, position),
    KEY movie_genres_by_genre (genre_id, movie_id),
    FOREIGN KEY (movie_id) REFERENCES movies (id),
    FOREIGN KEY (genre_id) REFERENCES genres (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
