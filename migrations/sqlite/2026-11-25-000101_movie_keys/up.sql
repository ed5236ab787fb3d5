-- What movies are found and sorted by, in the shape that indexes need. title_up is the title with the case folded, cut at 512
-- characters, and title_down its bytes turned over and ended by 0xff. Each number is there as it is (_up) and negated (_down),
-- and is 1e10 where the movie has none: so every order is an ascending one, with ties by id and what is unknown last.
CREATE TABLE IF NOT EXISTS movie_keys (
    movie_id INTEGER NOT NULL PRIMARY KEY,
    title_up TEXT NOT NULL,
    title_down BLOB NOT NULL,
    year_up DOUBLE NOT NULL,
    year_down DOUBLE NOT NULL,
    runtime_minutes_up DOUBLE NOT NULL,
    runtime_minutes_down DOUBLE NOT NULL,
    rating_up DOUBLE NOT NULL,
    rating_down DOUBLE NOT NULL,
    votes_up DOUBLE NOT NULL,
    votes_down DOUBLE NOT NULL,
    popularity_up DOUBLE NOT NULL,
    popularity_down DOUBLE NOT NULL,
    FOREIGN KEY (movie_id) REFERENCES movies (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS movie_keys_by_title_up ON movie_keys (title_up, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_title_down ON movie_keys (title_down, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_year_up ON movie_keys (year_up, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_year_down ON movie_keys (year_down, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_runtime_minutes_up ON movie_keys (runtime_minutes_up, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_runtime_minutes_down ON movie_keys (runtime_minutes_down, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_rating_up ON movie_keys (rating_up, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_rating_down ON movie_keys (rating_down, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_votes_up ON movie_keys (votes_up, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_votes_down ON movie_keys (votes_down, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_popularity_up ON movie_keys (popularity_up, movie_id);
CREATE INDEX IF NOT EXISTS movie_keys_by_popularity_down ON movie_keys (popularity_down, movie_id);
