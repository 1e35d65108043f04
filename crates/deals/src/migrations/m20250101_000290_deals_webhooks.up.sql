ALTER TABLE deals_organization ADD COLUMN has_webhooks boolean NOT NULL DEFAULT false;
ALTER TABLE deals_organization ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';
ALTER TABLE deals_organization ADD COLUMN approval_above_minor bigint
    CONSTRAINT deals_organization_approval_above_minor_check CHECK (approval_above_minor >= 0);

CREATE TABLE deals_webhook (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_webhook_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    url text NOT NULL CONSTRAINT deals_webhook_url_check CHECK (url <> ''),
    events text NOT NULL,
    is_active boolean NOT NULL,
    secret {bytes} NOT NULL,
    old_secret {bytes},
    old_secret_until bigint,
    failing_since bigint,
    failures bigint NOT NULL,
    paused_until bigint,
    created_by bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_webhook_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_webhook_created_by_fkey
        FOREIGN KEY (org_id, created_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_webhook_old_secret_check CHECK ((old_secret IS NULL) = (old_secret_until IS NULL))
);
CREATE INDEX deals_webhook_created_by ON deals_webhook (org_id, created_by);
CREATE INDEX deals_webhook_failing_since ON deals_webhook (failing_since) WHERE failing_since IS NOT NULL;

CREATE TABLE deals_delivery (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_delivery_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    webhook_id bigint NOT NULL,
    message_id text NOT NULL,
    event text NOT NULL,
    body text NOT NULL,
    status text NOT NULL CONSTRAINT deals_delivery_status_check CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts bigint NOT NULL,
    response_status bigint,
    last_error text,
    created_at bigint NOT NULL,
    tried_at bigint,
    tried_until bigint NOT NULL,
    CONSTRAINT deals_delivery_webhook_id_fkey
        FOREIGN KEY (org_id, webhook_id) REFERENCES deals_webhook (org_id, id) ON DELETE CASCADE
);
CREATE INDEX deals_delivery_webhook_id ON deals_delivery (org_id, webhook_id, id);
CREATE INDEX deals_delivery_created_at ON deals_delivery (created_at);
CREATE INDEX deals_delivery_pending ON deals_delivery (tried_until) WHERE status = 'pending';

ALTER TABLE deals_task ADD COLUMN remind_at bigint;
ALTER TABLE deals_task ADD COLUMN is_reminded boolean NOT NULL DEFAULT false;
CREATE INDEX deals_task_remind_at ON deals_task (remind_at)
    WHERE remind_at IS NOT NULL AND done_at IS NULL AND NOT is_reminded;
