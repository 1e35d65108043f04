ALTER TABLE realtime_stream ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
DROP TABLE realtime_epoch;
