CREATE TABLE kernel_secret (
    name text NOT NULL CONSTRAINT kernel_secret_pkey PRIMARY KEY,
    value {bytes} NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE kernel_audit_event (
    id {id},
    at bigint NOT NULL,
    actor_id bigint CONSTRAINT kernel_audit_event_actor_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    actor_label text NOT NULL,
    subject_id bigint CONSTRAINT kernel_audit_event_subject_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    subject_label text NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL CONSTRAINT kernel_audit_event_outcome_check CHECK (outcome IN ('done', 'refused')),
    ip text,
    user_agent text,
    request_id text,
    detail text NOT NULL
);
CREATE INDEX kernel_audit_event_actor_id ON kernel_audit_event (actor_id, id);
CREATE INDEX kernel_audit_event_subject_id ON kernel_audit_event (subject_id, id);

CREATE TABLE kernel_outbox (
    id {id},
    channel text NOT NULL CONSTRAINT kernel_outbox_channel_check CHECK (channel IN ('mail')),
    user_id bigint CONSTRAINT kernel_outbox_user_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    recipient text NOT NULL,
    title text NOT NULL,
    payload text,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    attempts bigint NOT NULL CONSTRAINT kernel_outbox_attempts_check CHECK (attempts >= 0),
    next_at bigint,
    sent_at bigint,
    last_error text,
    CONSTRAINT kernel_outbox_payload_check CHECK ((next_at IS NULL) = (payload IS NULL)),
    CONSTRAINT kernel_outbox_sent_check CHECK (sent_at IS NULL OR next_at IS NULL)
);
CREATE INDEX kernel_outbox_next_at ON kernel_outbox (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX kernel_outbox_expires_at ON kernel_outbox (expires_at);
CREATE INDEX kernel_outbox_user_id ON kernel_outbox (user_id);

CREATE TABLE kernel_job (
    name text NOT NULL CONSTRAINT kernel_job_pkey PRIMARY KEY,
    next_at bigint NOT NULL,
    last_run_at bigint,
    last_error text
);
CREATE INDEX kernel_outbox_recipient ON kernel_outbox (recipient, created_at);
