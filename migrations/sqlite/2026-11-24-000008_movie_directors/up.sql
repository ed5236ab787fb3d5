-- Which directors a movie has, in their order.
CREATE TABLE IF NOT EXISTS movie_directors (
    movie_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    director_id INTEGER NOT NULL,
    PRIMARY KEY (movie_id, position),
    FOREIGN KEY (movie_id) REFERENCES movies (id),
    FOREIGN KEY (director_id) REFERENCES directors (id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS movie_directors_by_director ON movie_directors (director_id, movie_id);
