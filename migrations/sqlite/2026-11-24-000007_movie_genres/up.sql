-- Which genres a movie has, in their order.
CREATE TABLE IF NOT EXISTS movie_genres (
    movie_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    genre_id INTEGER NOT NULL,
    PRIMARY KEY (movie_id, position),
    FOREIGN KEY (movie_id) REFERENCES movies (id),
    FOREIGN KEY (genre_id) REFERENCES genres (id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS movie_genres_by_genre ON movie_genres (genre_id, movie_id);
