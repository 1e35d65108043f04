CREATE TABLE kernel_event (
    id {id},
    name text NOT NULL,
    aggregate text NOT NULL,
    payload text NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE kernel_event_delivery (
    event_id bigint NOT NULL
        CONSTRAINT kernel_event_delivery_event_id_fkey REFERENCES kernel_event (id) ON DELETE CASCADE,
    subscriber {key} NOT NULL,
    aggregate {key} NOT NULL,
    attempts integer NOT NULL,
    next_at bigint,
    last_error text,
    CONSTRAINT kernel_event_delivery_pkey PRIMARY KEY (event_id, subscriber)
);
CREATE INDEX kernel_event_delivery_next_at ON kernel_event_delivery (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX kernel_event_delivery_failed ON kernel_event_delivery (event_id) WHERE next_at IS NULL;
CREATE INDEX kernel_event_delivery_aggregate ON kernel_event_delivery (subscriber, aggregate, event_id)
    WHERE next_at IS NOT NULL;
