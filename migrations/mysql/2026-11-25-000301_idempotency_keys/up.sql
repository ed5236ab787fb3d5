-- What writes with an Idempotency-Key were answered, in parts. position counts the bytes of all parts ever kept, up to the end of this one: the distance of two rows is what lies between them. expires_at is seconds since 1970 UTC.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    position BIGINT NOT NULL PRIMARY KEY,
    id BINARY(32) NOT NULL,
    part INT NOT NULL,
    request BINARY(32) NOT NULL,
    revision BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    answer MEDIUMBLOB NOT NULL,
    UNIQUE KEY idempotency_keys_by_id (id, part),
    KEY idempotency_keys_by_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
