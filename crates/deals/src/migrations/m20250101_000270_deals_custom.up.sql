CREATE TABLE deals_custom_field (
    id {id},
    org_id bigint NOT NULL
        CONSTRAINT deals_custom_field_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    entity text NOT NULL CONSTRAINT deals_custom_field_entity_check CHECK (entity IN ('client', 'deal')),
    key {key} NOT NULL CONSTRAINT deals_custom_field_key_check CHECK (key <> ''),
    name text NOT NULL CONSTRAINT deals_custom_field_name_check CHECK (name <> ''),
    kind text NOT NULL
        CONSTRAINT deals_custom_field_kind_check CHECK (kind IN ('text', 'number', 'day', 'boolean', 'choice')),
    options text NOT NULL,
    is_required boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_custom_field_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_custom_field_org_id_entity_key_key UNIQUE (org_id, entity, key)
);

CREATE TABLE deals_custom_value (
    id {id},
    org_id bigint NOT NULL
        CONSTRAINT deals_custom_value_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    field_id bigint NOT NULL,
    client_id bigint,
    deal_id bigint,
    text_value {key},
    number_value bigint,
    CONSTRAINT deals_custom_value_field_id_fkey
        FOREIGN KEY (org_id, field_id) REFERENCES deals_custom_field (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_custom_value_client_id_fkey
        FOREIGN KEY (org_id, client_id) REFERENCES deals_client (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_custom_value_deal_id_fkey
        FOREIGN KEY (org_id, deal_id) REFERENCES deals_deal (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_custom_value_whose_check CHECK ((client_id IS NULL) <> (deal_id IS NULL)),
    CONSTRAINT deals_custom_value_check CHECK ((text_value IS NULL) <> (number_value IS NULL))
);
CREATE UNIQUE INDEX deals_custom_value_client ON deals_custom_value (org_id, client_id, field_id)
    WHERE client_id IS NOT NULL;
CREATE UNIQUE INDEX deals_custom_value_deal ON deals_custom_value (org_id, deal_id, field_id)
    WHERE deal_id IS NOT NULL;
CREATE INDEX deals_custom_value_text ON deals_custom_value (org_id, field_id, text_value, deal_id, client_id);
CREATE INDEX deals_custom_value_number ON deals_custom_value (org_id, field_id, number_value, deal_id, client_id);

ALTER TABLE deals_client ADD COLUMN custom text NOT NULL DEFAULT '';
ALTER TABLE deals_deal ADD COLUMN custom text NOT NULL DEFAULT '';

CREATE TABLE deals_view (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_view_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    member_id bigint NOT NULL,
    entity text NOT NULL
        CONSTRAINT deals_view_entity_check CHECK (entity IN ('clients', 'deals', 'payments', 'tasks')),
    name text NOT NULL CONSTRAINT deals_view_name_check CHECK (name <> ''),
    name_key {key} NOT NULL,
    filters text NOT NULL,
    ordering text NOT NULL,
    columns text NOT NULL,
    shared text NOT NULL CONSTRAINT deals_view_shared_check CHECK (shared IN ('private', 'team', 'organization')),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_view_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_view_name_key UNIQUE (org_id, member_id, entity, name_key),
    CONSTRAINT deals_view_member_id_fkey
        FOREIGN KEY (org_id, member_id) REFERENCES deals_member (org_id, id) ON DELETE CASCADE
);
CREATE INDEX deals_view_shared ON deals_view (org_id, shared, id);
