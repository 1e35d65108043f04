-- How often a table has changed, so that counts of its rows can be kept. Only triggers on SQLite write to it.
CREATE TABLE kernel_table_version (
    name {key} NOT NULL CONSTRAINT kernel_table_version_pkey PRIMARY KEY,
    version bigint NOT NULL
);
