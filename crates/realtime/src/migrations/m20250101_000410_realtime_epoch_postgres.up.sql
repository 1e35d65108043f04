-- A number that differs from that of every other history of events, and is exact in JSON.
INSERT INTO realtime_epoch (id, epoch) VALUES (1, CAST(floor(random() * 1000000000000000) AS bigint));
