DROP INDEX kernel_outbox_next_at;
ALTER TABLE kernel_outbox DROP COLUMN channel;
ALTER TABLE kernel_outbox ADD COLUMN channel text NOT NULL DEFAULT 'mail'
    CONSTRAINT kernel_outbox_channel_check CHECK (channel <> '');
CREATE INDEX kernel_outbox_due ON kernel_outbox (channel, next_at) WHERE next_at IS NOT NULL;
