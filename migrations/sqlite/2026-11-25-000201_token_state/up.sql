-- The one row (id = 1) that orders all changes of tokens: a random stamp of the last one, which replicas look at with each poll, and the next id to give.
CREATE TABLE IF NOT EXISTS token_state (
    id INTEGER NOT NULL PRIMARY KEY,
    stamp INTEGER NOT NULL,
    next_id INTEGER NOT NULL
);
