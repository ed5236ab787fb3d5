-- Which words a title has: its runs of letters and digits, without regard to case and accents, at most 64 characters of each.
CREATE TABLE IF NOT EXISTS movie_words (
    word TEXT NOT NULL,
    movie_id INTEGER NOT NULL,
    PRIMARY KEY (word, movie_id),
    FOREIGN KEY (movie_id) REFERENCES movies (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS movie_words_by_movie ON movie_words (movie_id);
