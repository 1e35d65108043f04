-- The order in which due deliveries are read.
DROP INDEX kernel_event_delivery_next_at;
CREATE INDEX kernel_event_delivery_due ON kernel_event_delivery (next_at, event_id, subscriber)
    WHERE next_at IS NOT NULL;
