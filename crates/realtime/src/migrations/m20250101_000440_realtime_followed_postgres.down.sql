DELETE FROM realtime_stream WHERE last_seq = 0;
ALTER TABLE realtime_stream DROP CONSTRAINT realtime_stream_last_seq_check;
ALTER TABLE realtime_stream ADD CONSTRAINT realtime_stream_last_seq_check CHECK (last_seq > 0);
