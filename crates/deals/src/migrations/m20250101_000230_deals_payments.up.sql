CREATE TABLE deals_payment (
    id {id},
    org_id bigint NOT NULL CONSTRAINT deals_payment_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    number bigint NOT NULL CONSTRAINT deals_payment_number_check CHECK (number > 0),
    code text NOT NULL,
    deal_id bigint NOT NULL,
    kind text NOT NULL CONSTRAINT deals_payment_kind_check CHECK (kind IN ('payment', 'refund', 'reversal')),
    of_id bigint,
    amount_minor bigint NOT NULL
        CONSTRAINT deals_payment_amount_minor_check CHECK (amount_minor > 0 AND amount_minor < 1000000000000000000),
    currency text NOT NULL CONSTRAINT deals_payment_currency_check CHECK (length(currency) = 3),
    method text NOT NULL CONSTRAINT deals_payment_method_check
        CHECK (method IN ('bank', 'cash', 'cheque', 'wallet', 'card', 'other')),
    cheque_number {key},
    reference text NOT NULL,
    received_on {key} NOT NULL,
    recorded_by bigint NOT NULL,
    state text NOT NULL CONSTRAINT deals_payment_state_check CHECK (state IN ('pending', 'verified', 'rejected')),
    decided_by bigint,
    decided_at bigint,
    reason text NOT NULL,
    refunded_minor bigint NOT NULL CONSTRAINT deals_payment_refunded_minor_check
        CHECK (refunded_minor >= 0 AND refunded_minor <= amount_minor),
    is_reversed boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT deals_payment_org_id_id_key UNIQUE (org_id, id),
    CONSTRAINT deals_payment_org_id_number_key UNIQUE (org_id, number),
    CONSTRAINT deals_payment_deal_id_fkey
        FOREIGN KEY (org_id, deal_id) REFERENCES deals_deal (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_payment_of_id_fkey
        FOREIGN KEY (org_id, of_id) REFERENCES deals_payment (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_payment_recorded_by_fkey
        FOREIGN KEY (org_id, recorded_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_payment_decided_by_fkey
        FOREIGN KEY (org_id, decided_by) REFERENCES deals_member (org_id, id) ON DELETE RESTRICT,
    CONSTRAINT deals_payment_of_check CHECK ((kind = 'payment') = (of_id IS NULL)),
    CONSTRAINT deals_payment_back_check CHECK (kind = 'payment' OR state = 'verified')
);
CREATE UNIQUE INDEX deals_payment_reversal ON deals_payment (of_id) WHERE kind = 'reversal';
CREATE UNIQUE INDEX deals_payment_cheque ON deals_payment (org_id, cheque_number)
    WHERE cheque_number IS NOT NULL AND state <> 'rejected' AND NOT is_reversed;
CREATE INDEX deals_payment_deal_id ON deals_payment (org_id, deal_id, number);
CREATE INDEX deals_payment_of_id ON deals_payment (org_id, of_id) WHERE of_id IS NOT NULL;
CREATE INDEX deals_payment_received_on ON deals_payment (org_id, received_on, currency, amount_minor);
CREATE INDEX deals_payment_pending ON deals_payment (org_id, number) WHERE state = 'pending';
CREATE INDEX deals_payment_recorded_by ON deals_payment (org_id, recorded_by);
CREATE INDEX deals_payment_decided_by ON deals_payment (org_id, decided_by) WHERE decided_by IS NOT NULL;
