CREATE TABLE realtime_stream_new (
    id {id},
    name {key} NOT NULL CONSTRAINT realtime_stream_name_key UNIQUE,
    last_seq bigint NOT NULL,
    created_at bigint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    CONSTRAINT realtime_stream_last_seq_check CHECK (last_seq > 0)
);
INSERT INTO realtime_stream_new (id, name, last_seq, created_at, epoch)
    SELECT id, name, last_seq, created_at, epoch FROM realtime_stream WHERE last_seq > 0;
CREATE TABLE realtime_event_new (
    stream_id bigint NOT NULL
        CONSTRAINT realtime_event_stream_id_fkey REFERENCES realtime_stream_new (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    body text NOT NULL,
    removes bigint CONSTRAINT realtime_event_removes_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    at bigint NOT NULL,
    key_id {key},
    about {key},
    about_no bigint CONSTRAINT realtime_event_about_no_check CHECK ((about IS NULL) = (about_no IS NULL)),
    CONSTRAINT realtime_event_pkey PRIMARY KEY (stream_id, seq),
    CONSTRAINT realtime_event_seq_check CHECK (seq > 0)
);
INSERT INTO realtime_event_new (stream_id, seq, body, removes, at, key_id, about, about_no)
    SELECT stream_id, seq, body, removes, at, key_id, about, about_no FROM realtime_event;
DROP TABLE realtime_event;
DROP TABLE realtime_stream;
ALTER TABLE realtime_stream_new RENAME TO realtime_stream;
ALTER TABLE realtime_event_new RENAME TO realtime_event;
CREATE INDEX realtime_event_at ON realtime_event (at);
CREATE INDEX realtime_event_removes ON realtime_event (removes) WHERE removes IS NOT NULL;
CREATE INDEX realtime_event_key_id ON realtime_event (key_id) WHERE key_id IS NOT NULL;
CREATE INDEX realtime_event_about ON realtime_event (about, about_no) WHERE about IS NOT NULL;
