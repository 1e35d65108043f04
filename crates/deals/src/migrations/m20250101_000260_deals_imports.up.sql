CREATE TABLE deals_import (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_import_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    kind text NOT NULL CONSTRAINT deals_import_kind_check CHECK (kind IN ('clients', 'deals')),
    file_name text NOT NULL,
    status text NOT NULL CONSTRAINT deals_import_status_check
        CHECK (status IN ('checked', 'refused', 'running', 'done', 'failed', 'reverted')),
    total bigint NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    skipped bigint NOT NULL,
    failed bigint NOT NULL,
    errors text NOT NULL,
    created_by bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_import_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_import_created_by_fkey
        FOREIGN KEY (org_id, created_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT
);
CREATE INDEX deals_import_created_by ON deals_import (org_id, created_by);
ALTER TABLE deals_client ADD COLUMN import_id bigint
    CONSTRAINT deals_client_import_id_fkey REFERENCES deals_import (id) ON DELETE SET NULL;
ALTER TABLE deals_deal ADD COLUMN import_id bigint
    CONSTRAINT deals_deal_import_id_fkey REFERENCES deals_import (id) ON DELETE SET NULL;
CREATE INDEX deals_client_import_id ON deals_client (import_id) WHERE import_id IS NOT NULL;
CREATE INDEX deals_deal_import_id ON deals_deal (import_id) WHERE import_id IS NOT NULL;
