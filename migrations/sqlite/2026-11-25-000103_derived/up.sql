-- The one row (id = 1) that tells up to which movie movie_keys and movie_words were filled for movies that were there before
-- these tables: those with a lower id have theirs. No row is no movie.
CREATE TABLE IF NOT EXISTS derived (
    id INTEGER NOT NULL PRIMARY KEY,
    next_movie_id INTEGER NOT NULL
);
