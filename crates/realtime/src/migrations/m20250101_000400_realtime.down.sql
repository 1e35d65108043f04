DROP TABLE realtime_event;
DROP TABLE realtime_stream;
