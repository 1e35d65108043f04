DROP INDEX kernel_event_delivery_due;
CREATE INDEX kernel_event_delivery_next_at ON kernel_event_delivery (next_at) WHERE next_at IS NOT NULL;
