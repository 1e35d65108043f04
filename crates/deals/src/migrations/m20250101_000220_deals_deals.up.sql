CREATE TABLE deals_pipeline (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_pipeline_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    name text NOT NULL CONSTRAINT deals_pipeline_name_check CHECK (name <> ''),
    name_key {key} NOT NULL,
    position bigint NOT NULL,
    is_default boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_pipeline_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_pipeline_org_id_name_key_key UNIQUE (org_id, name_key)
);
CREATE UNIQUE INDEX deals_pipeline_default ON deals_pipeline (org_id) WHERE is_default;

CREATE TABLE deals_stage (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_stage_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    pipeline_id bigint NOT NULL,
    name text NOT NULL CONSTRAINT deals_stage_name_check CHECK (name <> ''),
    name_key {key} NOT NULL,
    position bigint NOT NULL,
    kind text NOT NULL CONSTRAINT deals_stage_kind_check CHECK (kind IN ('open', 'won', 'lost')),
    probability bigint NOT NULL CONSTRAINT deals_stage_probability_check CHECK (probability BETWEEN 0 AND 100),
    rot_days bigint CONSTRAINT deals_stage_rot_days_check CHECK (rot_days > 0),
    required_fields text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_stage_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_stage_org_id_pipeline_id_id_key UNIQUE (org_id, pipeline_id, id),
    CONSTRAINT deals_stage_pipeline_id_name_key_key UNIQUE (pipeline_id, name_key),
    CONSTRAINT deals_stage_pipeline_id_fkey
        FOREIGN KEY (org_id, pipeline_id) REFERENCES deals_pipeline (org_id, id) ON DELETE CASCADE
);

CREATE TABLE deals_deal (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_deal_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    number bigint NOT NULL CONSTRAINT deals_deal_number_check CHECK (number > 0),
    code text NOT NULL,
    title text NOT NULL CONSTRAINT deals_deal_title_check CHECK (title <> ''),
    description text NOT NULL,
    client_id bigint NOT NULL,
    contact_id bigint,
    pipeline_id bigint NOT NULL,
    stage_id bigint NOT NULL,
    status text NOT NULL CONSTRAINT deals_deal_status_check CHECK (status IN ('open', 'won', 'lost')),
    position {key} NOT NULL,
    owner_id bigint NOT NULL,
    created_by bigint NOT NULL,
    value_minor bigint NOT NULL
        CONSTRAINT deals_deal_value_minor_check CHECK (value_minor >= 0 AND value_minor < 1000000000000000000),
    currency text NOT NULL CONSTRAINT deals_deal_currency_check CHECK (length(currency) = 3),
    received_minor bigint NOT NULL CONSTRAINT deals_deal_received_minor_check CHECK (received_minor >= 0),
    verified_minor bigint NOT NULL CONSTRAINT deals_deal_verified_minor_check
        CHECK (verified_minor >= 0 AND verified_minor <= received_minor),
    probability bigint NOT NULL CONSTRAINT deals_deal_probability_check CHECK (probability BETWEEN 0 AND 100),
    source text NOT NULL,
    expected_close_date {key},
    close_key {key} NOT NULL
        CONSTRAINT deals_deal_close_key_check CHECK (expected_close_date IS NULL OR close_key = expected_close_date),
    closed_at bigint,
    lost_reason text NOT NULL,
    verification text NOT NULL
        CONSTRAINT deals_deal_verification_check CHECK (verification IN ('pending', 'verified', 'rejected')),
    verification_note text NOT NULL,
    stage_entered_at bigint NOT NULL,
    search_text text NOT NULL,
    archived_at bigint,
    deleted_at bigint,
    deletion_id bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_deal_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_deal_org_id_number_key UNIQUE (org_id, number),
    CONSTRAINT deals_deal_org_id_code_key UNIQUE (org_id, code),
    CONSTRAINT deals_deal_client_id_fkey
        FOREIGN KEY (org_id, client_id) REFERENCES deals_client (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_deal_contact_id_fkey
        FOREIGN KEY (org_id, contact_id) REFERENCES deals_contact (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_deal_stage_id_fkey
        FOREIGN KEY (org_id, pipeline_id, stage_id) REFERENCES deals_stage (org_id, pipeline_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_deal_owner_id_fkey
        FOREIGN KEY (org_id, owner_id) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_deal_created_by_fkey
        FOREIGN KEY (org_id, created_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_deal_deletion_id_fkey
        FOREIGN KEY (org_id, deletion_id) REFERENCES deals_deletion (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_deal_closed_check CHECK ((status = 'open') = (closed_at IS NULL)),
    CONSTRAINT deals_deal_deleted_check CHECK ((deleted_at IS NULL) = (deletion_id IS NULL))
);
CREATE INDEX deals_deal_board ON deals_deal (org_id, pipeline_id, stage_id, position, id)
    WHERE deleted_at IS NULL AND archived_at IS NULL;
CREATE INDEX deals_deal_stage_id ON deals_deal (org_id, stage_id, currency, value_minor, probability)
    WHERE deleted_at IS NULL;
CREATE INDEX deals_deal_value ON deals_deal (org_id, currency, value_minor, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_deal_updated_at ON deals_deal (org_id, updated_at, id);
CREATE INDEX deals_deal_client_id ON deals_deal (org_id, client_id, number);
CREATE INDEX deals_deal_contact_id ON deals_deal (org_id, contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX deals_deal_owner_id ON deals_deal (org_id, owner_id, number);
CREATE INDEX deals_deal_created_by ON deals_deal (org_id, created_by, number);
CREATE INDEX deals_deal_close_key ON deals_deal (org_id, close_key, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_deal_deletion_id ON deals_deal (org_id, deletion_id) WHERE deletion_id IS NOT NULL;

CREATE TABLE deals_stage_change (
    id {id},
    org_id bigint NOT NULL
        CONSTRAINT deals_stage_change_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    deal_id bigint NOT NULL,
    from_stage_id bigint
        CONSTRAINT deals_stage_change_from_stage_id_fkey REFERENCES deals_stage (id) ON DELETE SET NULL,
    to_stage_id bigint CONSTRAINT deals_stage_change_to_stage_id_fkey REFERENCES deals_stage (id) ON DELETE SET NULL,
    from_name text NOT NULL,
    to_name text NOT NULL,
    moved_by bigint NOT NULL,
    moved_at bigint NOT NULL,
    CONSTRAINT deals_stage_change_deal_id_fkey
        FOREIGN KEY (org_id, deal_id) REFERENCES deals_deal (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_stage_change_moved_by_fkey
        FOREIGN KEY (org_id, moved_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT
);
CREATE INDEX deals_stage_change_deal_id ON deals_stage_change (org_id, deal_id, id);
CREATE INDEX deals_stage_change_from_stage_id ON deals_stage_change (from_stage_id);
CREATE INDEX deals_stage_change_to_stage_id ON deals_stage_change (to_stage_id);
CREATE INDEX deals_stage_change_moved_by ON deals_stage_change (org_id, moved_by);
