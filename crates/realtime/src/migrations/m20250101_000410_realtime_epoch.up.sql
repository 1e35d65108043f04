-- One epoch for all streams, also for those without an event.
CREATE TABLE realtime_epoch (
    id bigint NOT NULL CONSTRAINT realtime_epoch_pkey PRIMARY KEY,
    epoch bigint NOT NULL,
    CONSTRAINT realtime_epoch_id_check CHECK (id = 1)
);
ALTER TABLE realtime_stream DROP COLUMN epoch;
