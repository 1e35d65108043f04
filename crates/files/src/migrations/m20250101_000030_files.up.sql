CREATE TABLE files_file (
    id {id},
    key {key} NOT NULL CONSTRAINT files_file_key_key UNIQUE,
    content_type text NOT NULL,
    size bigint NOT NULL CONSTRAINT files_file_size_check CHECK (size >= 0),
    variants text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE files_garbage (
    key {key} NOT NULL CONSTRAINT files_garbage_pkey PRIMARY KEY,
    variants text NOT NULL,
    due_at bigint NOT NULL
);
CREATE INDEX files_garbage_due_at ON files_garbage (due_at);
