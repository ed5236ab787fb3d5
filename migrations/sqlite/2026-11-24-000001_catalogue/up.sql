-- The one row (id = 1) that orders all writes of all replicas: the newest revision, its stamp, and the next ids to give.
CREATE TABLE IF NOT EXISTS catalogue (
    id INTEGER NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    next_movie_id INTEGER NOT NULL,
    next_genre_id INTEGER NOT NULL,
    next_director_id INTEGER NOT NULL
);
