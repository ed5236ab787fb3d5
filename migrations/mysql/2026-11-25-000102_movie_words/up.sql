-- Which words a title has: its runs of letters and digits, without regard to case and accents, at most 64 characters of each.
CREATE TABLE IF NOT EXISTS movie_words (
    word VARCHAR(64) NOT NULL,
    movie_id BIGINT NOT NULL,
    PRIMARY KEY (word, movie_id),
    KEY movie_words_by_movie (movie_id),
    FOREIGN KEY (movie_id) REFERENCES movies (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
