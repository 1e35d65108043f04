ALTER TABLE realtime_stream ADD COLUMN lock_count bigint NOT NULL DEFAULT 0;
