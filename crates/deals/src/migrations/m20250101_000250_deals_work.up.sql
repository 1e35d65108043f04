ALTER TABLE deals_member ADD COLUMN commission_bp bigint NOT NULL DEFAULT 0
    CONSTRAINT deals_member_commission_bp_check CHECK (commission_bp BETWEEN 0 AND 10000);

CREATE TABLE deals_commission (
    id {id},
    org_id bigint NOT NULL
        CONSTRAINT deals_commission_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    member_id bigint NOT NULL,
    deal_id bigint NOT NULL,
    payment_id bigint NOT NULL,
    rate_bp bigint NOT NULL CONSTRAINT deals_commission_rate_bp_check CHECK (rate_bp BETWEEN 1 AND 10000),
    amount_minor bigint NOT NULL,
    currency text NOT NULL CONSTRAINT deals_commission_currency_check CHECK (length(currency) = 3),
    earned_on {key} NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT deals_commission_payment_id_key UNIQUE (payment_id),
    CONSTRAINT deals_commission_member_id_fkey
        FOREIGN KEY (org_id, member_id) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_commission_deal_id_fkey
        FOREIGN KEY (org_id, deal_id) REFERENCES deals_deal (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_commission_payment_id_fkey
        FOREIGN KEY (org_id, payment_id) REFERENCES deals_payment (org_id, id) ON DELETE CASCADE
);
CREATE INDEX deals_commission_member_id ON deals_commission (org_id, member_id, earned_on);
CREATE INDEX deals_commission_earned_on ON deals_commission (org_id, earned_on, currency);
CREATE INDEX deals_commission_deal_id ON deals_commission (org_id, deal_id);
CREATE INDEX deals_commission_payment ON deals_commission (org_id, payment_id);

CREATE TABLE deals_activity (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_activity_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    client_id bigint NOT NULL,
    deal_id bigint,
    kind text NOT NULL CONSTRAINT deals_activity_kind_check CHECK (kind IN ('note', 'call', 'meeting', 'email')),
    content text NOT NULL CONSTRAINT deals_activity_content_check CHECK (content <> ''),
    happened_at bigint NOT NULL,
    created_by bigint NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT deals_activity_client_id_fkey
        FOREIGN KEY (org_id, client_id) REFERENCES deals_client (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_activity_deal_id_fkey
        FOREIGN KEY (org_id, deal_id) REFERENCES deals_deal (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_activity_created_by_fkey
        FOREIGN KEY (org_id, created_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT
);
CREATE INDEX deals_activity_client_id ON deals_activity (org_id, client_id, id);
CREATE INDEX deals_activity_deal_id ON deals_activity (org_id, deal_id, id) WHERE deal_id IS NOT NULL;
CREATE INDEX deals_activity_created_by ON deals_activity (org_id, created_by);

CREATE TABLE deals_task (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_task_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    title text NOT NULL CONSTRAINT deals_task_title_check CHECK (title <> ''),
    notes text NOT NULL,
    client_id bigint,
    deal_id bigint,
    assignee_id bigint NOT NULL,
    created_by bigint NOT NULL,
    due_at bigint,
    due_key bigint NOT NULL CONSTRAINT deals_task_due_key_check CHECK (due_at IS NULL OR due_key = due_at),
    done_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_task_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_task_client_id_fkey
        FOREIGN KEY (org_id, client_id) REFERENCES deals_client (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_task_deal_id_fkey
        FOREIGN KEY (org_id, deal_id) REFERENCES deals_deal (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_task_assignee_id_fkey
        FOREIGN KEY (org_id, assignee_id) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_task_created_by_fkey
        FOREIGN KEY (org_id, created_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT
);
CREATE INDEX deals_task_assignee_id ON deals_task (org_id, assignee_id, due_key, id);
CREATE INDEX deals_task_created_by ON deals_task (org_id, created_by);
CREATE INDEX deals_task_due_key ON deals_task (org_id, due_key, id);
CREATE INDEX deals_task_client_id ON deals_task (org_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX deals_task_deal_id ON deals_task (org_id, deal_id) WHERE deal_id IS NOT NULL;

CREATE TABLE deals_merged_client (
    org_id bigint NOT NULL
        CONSTRAINT deals_merged_client_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    old_id bigint NOT NULL,
    client_id bigint NOT NULL,
    merged_at bigint NOT NULL,
    CONSTRAINT deals_merged_client_pkey PRIMARY KEY (org_id, old_id),
    CONSTRAINT deals_merged_client_client_id_fkey
        FOREIGN KEY (org_id, client_id) REFERENCES deals_client (org_id, id) ON DELETE CASCADE
);
CREATE INDEX deals_merged_client_client_id ON deals_merged_client (org_id, client_id);

CREATE INDEX deals_stage_change_moved_at ON deals_stage_change (org_id, moved_at);
CREATE INDEX deals_deal_created_at ON deals_deal (org_id, created_at) WHERE deleted_at IS NULL;
CREATE INDEX deals_deal_closed_at ON deals_deal (org_id, status, closed_at) WHERE deleted_at IS NULL;
