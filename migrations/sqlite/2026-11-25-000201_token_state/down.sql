DROP TABLE IF EXISTS token_state;
