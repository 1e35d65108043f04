CREATE TABLE kernel_usage (
    user_id bigint NOT NULL CONSTRAINT kernel_usage_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    kind text NOT NULL,
    since bigint NOT NULL,
    amount bigint NOT NULL CONSTRAINT kernel_usage_amount_check CHECK (amount >= 0),
    CONSTRAINT kernel_usage_pkey PRIMARY KEY (user_id, kind)
);

ALTER TABLE kernel_outbox ADD COLUMN recipient_key text NOT NULL DEFAULT '';
UPDATE kernel_outbox SET recipient_key = recipient;
DROP INDEX kernel_outbox_recipient;
CREATE INDEX kernel_outbox_recipient_key ON kernel_outbox (recipient_key, created_at);
