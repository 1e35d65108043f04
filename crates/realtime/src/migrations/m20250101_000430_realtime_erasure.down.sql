ALTER TABLE realtime_stream DROP COLUMN epoch;
ALTER TABLE realtime_epoch DROP COLUMN deleted_streams;
DROP INDEX realtime_event_about;
ALTER TABLE realtime_event DROP COLUMN about_no;
ALTER TABLE realtime_event DROP COLUMN about;
