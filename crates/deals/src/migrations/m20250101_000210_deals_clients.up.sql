CREATE TABLE deals_deletion (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_deletion_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    kind text NOT NULL CONSTRAINT deals_deletion_kind_check CHECK (kind IN ('client', 'contact', 'deal')),
    label text NOT NULL,
    deleted_by bigint,
    deleted_at bigint NOT NULL,
    CONSTRAINT deals_deletion_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_deletion_deleted_by_fkey
        FOREIGN KEY (org_id, deleted_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT
);
CREATE INDEX deals_deletion_deleted_by ON deals_deletion (org_id, deleted_by);

CREATE TABLE deals_client (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_client_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    name text NOT NULL CONSTRAINT deals_client_name_check CHECK (name <> ''),
    name_key {key} NOT NULL,
    email text NOT NULL,
    email_key {key},
    phone text NOT NULL,
    phone_key {key},
    website text NOT NULL,
    address text NOT NULL,
    tax_id text NOT NULL,
    notes text NOT NULL,
    owner_id bigint NOT NULL,
    created_by bigint NOT NULL,
    search_text text NOT NULL,
    archived_at bigint,
    deleted_at bigint,
    deletion_id bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_client_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_client_owner_id_fkey
        FOREIGN KEY (org_id, owner_id) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_client_created_by_fkey
        FOREIGN KEY (org_id, created_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_client_deletion_id_fkey
        FOREIGN KEY (org_id, deletion_id) REFERENCES deals_deletion (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_client_deleted_check CHECK ((deleted_at IS NULL) = (deletion_id IS NULL))
);
CREATE UNIQUE INDEX deals_client_email ON deals_client (org_id, email_key)
    WHERE deleted_at IS NULL AND email_key IS NOT NULL;
CREATE INDEX deals_client_name_key ON deals_client (org_id, name_key, id);
CREATE INDEX deals_client_phone_key ON deals_client (org_id, phone_key) WHERE phone_key IS NOT NULL;
CREATE INDEX deals_client_created_at ON deals_client (org_id, created_at, id);
CREATE INDEX deals_client_updated_at ON deals_client (org_id, updated_at, id);
CREATE INDEX deals_client_owner_id ON deals_client (org_id, owner_id, id);
CREATE INDEX deals_client_created_by ON deals_client (org_id, created_by, id);
CREATE INDEX deals_client_deletion_id ON deals_client (org_id, deletion_id) WHERE deletion_id IS NOT NULL;

CREATE TABLE deals_contact (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_contact_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    client_id bigint NOT NULL,
    first_name text NOT NULL CONSTRAINT deals_contact_first_name_check CHECK (first_name <> ''),
    last_name text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    title text NOT NULL,
    is_primary boolean NOT NULL,
    deleted_at bigint,
    deletion_id bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_contact_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_contact_client_id_fkey
        FOREIGN KEY (org_id, client_id) REFERENCES deals_client (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_contact_deletion_id_fkey
        FOREIGN KEY (org_id, deletion_id) REFERENCES deals_deletion (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_contact_deleted_check CHECK ((deleted_at IS NULL) = (deletion_id IS NULL))
);
CREATE INDEX deals_contact_client_id ON deals_contact (org_id, client_id, id);
CREATE UNIQUE INDEX deals_contact_primary ON deals_contact (client_id) WHERE is_primary AND deleted_at IS NULL;
CREATE INDEX deals_contact_deletion_id ON deals_contact (org_id, deletion_id) WHERE deletion_id IS NOT NULL;
