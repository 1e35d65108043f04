CREATE TABLE kernel_file (
    id {id},
    key {key} NOT NULL CONSTRAINT kernel_file_key_key UNIQUE,
    content_type text NOT NULL,
    size bigint NOT NULL CONSTRAINT kernel_file_size_check CHECK (size >= 0),
    variants text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE kernel_file_garbage (
    key {key} NOT NULL CONSTRAINT kernel_file_garbage_pkey PRIMARY KEY,
    variants text NOT NULL,
    due_at bigint NOT NULL
);
CREATE INDEX kernel_file_garbage_due_at ON kernel_file_garbage (due_at);
CREATE INDEX kernel_outbox_recipient ON kernel_outbox (recipient, created_at);
