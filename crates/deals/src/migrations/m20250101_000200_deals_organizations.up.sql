CREATE TABLE deals_organization (
    id {id},
    name text NOT NULL CONSTRAINT deals_organization_name_check CHECK (name <> ''),
    name_key {key} NOT NULL,
    slug text NOT NULL CONSTRAINT deals_organization_slug_key UNIQUE,
    is_test boolean NOT NULL,
    default_currency text NOT NULL
        CONSTRAINT deals_organization_default_currency_check CHECK (length(default_currency) = 3),
    number_prefix text NOT NULL,
    number_pad bigint NOT NULL CONSTRAINT deals_organization_number_pad_check CHECK (number_pad BETWEEN 1 AND 12),
    overpayment text NOT NULL
        CONSTRAINT deals_organization_overpayment_check CHECK (overpayment IN ('reject', 'credit')),
    requires_if_match boolean NOT NULL,
    four_eyes boolean NOT NULL,
    creator_keeps_access boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX deals_organization_name_key ON deals_organization (name_key, id);
CREATE INDEX deals_organization_is_test ON deals_organization (id) WHERE is_test;

CREATE TABLE deals_counter (
    org_id bigint NOT NULL CONSTRAINT deals_counter_org_id_fkey REFERENCES deals_organization (id) ON DELETE CASCADE,
    kind text NOT NULL CONSTRAINT deals_counter_kind_check CHECK (kind IN ('deal', 'payment')),
    next bigint NOT NULL CONSTRAINT deals_counter_next_check CHECK (next > 0),
    CONSTRAINT deals_counter_pkey PRIMARY KEY (org_id, kind)
);

CREATE TABLE deals_role (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_role_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    key text,
    name text NOT NULL CONSTRAINT deals_role_name_check CHECK (name <> ''),
    name_key {key} NOT NULL,
    permissions text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_role_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_role_org_id_name_key_key UNIQUE (org_id, name_key)
);
CREATE UNIQUE INDEX deals_role_key ON deals_role (org_id, key) WHERE key IS NOT NULL;

CREATE TABLE deals_team (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_team_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    name text NOT NULL CONSTRAINT deals_team_name_check CHECK (name <> ''),
    name_key {key} NOT NULL,
    parent_id bigint CONSTRAINT deals_team_parent_id_check CHECK (parent_id <> id),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_team_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_team_org_id_name_key_key UNIQUE (org_id, name_key),
    CONSTRAINT deals_team_parent_id_fkey
        FOREIGN KEY (org_id, parent_id) REFERENCES deals_team (org_id, id) ON DELETE RESTRICT
);
CREATE INDEX deals_team_parent_id ON deals_team (org_id, parent_id);

CREATE TABLE deals_member (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_member_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    user_id bigint CONSTRAINT deals_member_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    role_id bigint NOT NULL,
    team_id bigint,
    leads_team boolean NOT NULL,
    status text NOT NULL CONSTRAINT deals_member_status_check CHECK (status IN ('invited', 'active', 'deactivated', 'gone')),
    invited_by bigint CONSTRAINT deals_member_invited_by_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_member_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_member_org_id_user_id_key UNIQUE (org_id, user_id),
    CONSTRAINT deals_member_role_id_fkey
        FOREIGN KEY (org_id, role_id) REFERENCES deals_role (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_member_team_id_fkey
        FOREIGN KEY (org_id, team_id) REFERENCES deals_team (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_member_gone_check CHECK ((status = 'gone') = (user_id IS NULL)),
    CONSTRAINT deals_member_leads_team_check CHECK (NOT leads_team OR team_id IS NOT NULL)
);
CREATE INDEX deals_member_user_id ON deals_member (user_id, status, org_id);
CREATE INDEX deals_member_invited_by ON deals_member (invited_by);
CREATE INDEX deals_member_role_id ON deals_member (org_id, role_id);
CREATE INDEX deals_member_team_id ON deals_member (org_id, team_id);
