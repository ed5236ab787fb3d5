-- Who may do what. A token itself is kept nowhere: the hash is SHA-256 of it.
CREATE TABLE IF NOT EXISTS tokens (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    role VARCHAR(16) NOT NULL,
    hash BINARY(32) NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
