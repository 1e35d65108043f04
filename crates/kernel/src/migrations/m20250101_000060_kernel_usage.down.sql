DROP INDEX kernel_outbox_recipient_key;
ALTER TABLE kernel_outbox DROP COLUMN recipient_key;
CREATE INDEX kernel_outbox_recipient ON kernel_outbox (recipient, created_at);
DROP TABLE kernel_usage;
