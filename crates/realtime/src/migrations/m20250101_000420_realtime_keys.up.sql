ALTER TABLE realtime_event ADD COLUMN key_id {key};
CREATE INDEX realtime_event_key_id ON realtime_event (key_id) WHERE key_id IS NOT NULL;
