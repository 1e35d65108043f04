CREATE TABLE deals_line (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_line_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    deal_id bigint NOT NULL,
    position bigint NOT NULL,
    name text NOT NULL CONSTRAINT deals_line_name_check CHECK (name <> ''),
    quantity_micro bigint NOT NULL CONSTRAINT deals_line_quantity_micro_check CHECK (quantity_micro > 0),
    unit_minor bigint NOT NULL
        CONSTRAINT deals_line_unit_minor_check CHECK (unit_minor >= 0 AND unit_minor < 1000000000000000000),
    discount_bp bigint NOT NULL CONSTRAINT deals_line_discount_bp_check CHECK (discount_bp BETWEEN 0 AND 10000),
    tax_bp bigint NOT NULL CONSTRAINT deals_line_tax_bp_check CHECK (tax_bp BETWEEN 0 AND 10000),
    total_minor bigint NOT NULL
        CONSTRAINT deals_line_total_minor_check CHECK (total_minor >= 0 AND total_minor < 1000000000000000000),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_line_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_line_deal_id_fkey
        FOREIGN KEY (org_id, deal_id) REFERENCES deals_deal (org_id, id) ON DELETE CASCADE
);
CREATE INDEX deals_line_deal_id ON deals_line (org_id, deal_id, position, id);

CREATE TABLE deals_file (
    id {id},
    org_id bigint NOT NULL
        CONSTRAINT deals_file_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    deal_id bigint NOT NULL,
    payment_id bigint,
    file_id bigint NOT NULL
        CONSTRAINT deals_file_file_id_fkey REFERENCES files_file (id)
        CONSTRAINT deals_file_file_id_key UNIQUE,
    name text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    added_by bigint NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT deals_file_deal_id_fkey
        FOREIGN KEY (org_id, deal_id) REFERENCES deals_deal (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_file_payment_id_fkey
        FOREIGN KEY (org_id, payment_id) REFERENCES deals_payment (org_id, id) ON DELETE CASCADE,
    CONSTRAINT deals_file_added_by_fkey
        FOREIGN KEY (org_id, added_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT
);
CREATE INDEX deals_file_deal_id ON deals_file (org_id, deal_id, id);
CREATE INDEX deals_file_payment_id ON deals_file (org_id, payment_id, id) WHERE payment_id IS NOT NULL;
CREATE INDEX deals_file_added_by ON deals_file (org_id, added_by);
