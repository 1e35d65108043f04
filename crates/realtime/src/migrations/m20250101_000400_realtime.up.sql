CREATE TABLE realtime_stream (
    id {id},
    name {key} NOT NULL CONSTRAINT realtime_stream_name_key UNIQUE,
    last_seq bigint NOT NULL,
    epoch bigint NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT realtime_stream_last_seq_check CHECK (last_seq > 0)
);
CREATE TABLE realtime_event (
    stream_id bigint NOT NULL
        CONSTRAINT realtime_event_stream_id_fkey REFERENCES realtime_stream (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    body text NOT NULL,
    removes bigint CONSTRAINT realtime_event_removes_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    at bigint NOT NULL,
    CONSTRAINT realtime_event_pkey PRIMARY KEY (stream_id, seq),
    CONSTRAINT realtime_event_seq_check CHECK (seq > 0)
);
CREATE INDEX realtime_event_at ON realtime_event (at);
CREATE INDEX realtime_event_removes ON realtime_event (removes) WHERE removes IS NOT NULL;
