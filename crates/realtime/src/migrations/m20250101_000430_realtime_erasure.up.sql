-- What an event is about, so that its content can be erased together with that.
ALTER TABLE realtime_event ADD COLUMN about {key};
ALTER TABLE realtime_event ADD COLUMN about_no bigint
    CONSTRAINT realtime_event_about_no_check CHECK ((about IS NULL) = (about_no IS NULL));
CREATE INDEX realtime_event_about ON realtime_event (about, about_no) WHERE about IS NOT NULL;
-- A stream that begins after one was deleted has another epoch. That of a stream is added to that of all.
ALTER TABLE realtime_epoch ADD COLUMN deleted_streams bigint NOT NULL DEFAULT 0;
ALTER TABLE realtime_stream ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
