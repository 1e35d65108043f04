DROP INDEX kernel_outbox_due;
DELETE FROM kernel_outbox WHERE channel <> 'mail';
ALTER TABLE kernel_outbox DROP COLUMN channel;
ALTER TABLE kernel_outbox ADD COLUMN channel text NOT NULL DEFAULT 'mail'
    CONSTRAINT kernel_outbox_channel_check CHECK (channel IN ('mail'));
CREATE INDEX kernel_outbox_next_at ON kernel_outbox (next_at) WHERE next_at IS NOT NULL;
