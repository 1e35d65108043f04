-- The number of users whom everybody sees: a single row, on SQLite only. On PostgreSQL it would make transactions that
-- create users wait for each other.
CREATE TABLE accounts_user_count (
    id integer NOT NULL CONSTRAINT accounts_user_count_pkey PRIMARY KEY,
    active bigint NOT NULL,
    CONSTRAINT accounts_user_count_id_check CHECK (id = 1),
    CONSTRAINT accounts_user_count_active_check CHECK (active >= 0)
);
