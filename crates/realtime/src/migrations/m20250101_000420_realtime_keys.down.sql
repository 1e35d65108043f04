DROP INDEX realtime_event_key_id;
ALTER TABLE realtime_event DROP COLUMN key_id;
