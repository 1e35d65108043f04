-- The messages that staff look through: those that are not sent yet, or could not be.
CREATE INDEX kernel_outbox_unsent ON kernel_outbox (id) WHERE sent_at IS NULL;
