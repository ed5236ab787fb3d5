-- What writes with an Idempotency-Key were answered, in parts. position counts the bytes of all parts ever kept, up to the end of this one: the distance of two rows is what lies between them. expires_at is seconds since 1970 UTC.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    position INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL,
    part INTEGER NOT NULL,
    request BLOB NOT NULL,
    revision INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    answer BLOB NOT NULL,
    UNIQUE (id, part)
);
CREATE INDEX IF NOT EXISTS idempotency_keys_by_expiry ON idempotency_keys (expires_at);
