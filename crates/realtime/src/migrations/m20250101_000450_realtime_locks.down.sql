ALTER TABLE realtime_stream DROP COLUMN lock_count;
