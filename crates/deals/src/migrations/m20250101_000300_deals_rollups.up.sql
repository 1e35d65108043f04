CREATE TABLE deals_rollup (
    org_id bigint NOT NULL CONSTRAINT deals_rollup_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    stage_id bigint NOT NULL,
    currency text NOT NULL,
    month {key} NOT NULL,
    is_archived boolean NOT NULL,
    n bigint NOT NULL,
    hi bigint NOT NULL,
    lo bigint NOT NULL,
    weighted_hi bigint NOT NULL,
    weighted_lo bigint NOT NULL,
    CONSTRAINT deals_rollup_pkey PRIMARY KEY (org_id, stage_id, currency, month, is_archived),
    CONSTRAINT deals_rollup_stage_id_fkey
        FOREIGN KEY (org_id, stage_id) REFERENCES deals_stage (org_id, id) ON DELETE CASCADE
);
INSERT INTO deals_rollup
SELECT org_id, stage_id, currency, substr(close_key, 1, 7), archived_at IS NOT NULL, COUNT(*),
    CAST(SUM(value_minor / 1000000000) AS bigint), CAST(SUM(value_minor % 1000000000) AS bigint),
    CAST(SUM((value_minor / 1000000000) * probability) AS bigint),
    CAST(SUM((value_minor % 1000000000) * probability) AS bigint)
FROM deals_deal WHERE deleted_at IS NULL
GROUP BY org_id, stage_id, currency, substr(close_key, 1, 7), archived_at IS NOT NULL;

CREATE TABLE deals_revenue (
    org_id bigint NOT NULL CONSTRAINT deals_revenue_org_id_fkey REFERENCES deals_organization (id) ON DELETE RESTRICT,
    day {key} NOT NULL,
    currency text NOT NULL,
    n bigint NOT NULL,
    hi bigint NOT NULL,
    lo bigint NOT NULL,
    CONSTRAINT deals_revenue_pkey PRIMARY KEY (org_id, day, currency)
);
INSERT INTO deals_revenue
SELECT p.org_id, p.received_on, p.currency, COUNT(*),
    CAST(SUM((p.amount_minor / 1000000000) * CASE WHEN p.kind = 'payment' THEN 1 ELSE -1 END) AS bigint),
    CAST(SUM((p.amount_minor % 1000000000) * CASE WHEN p.kind = 'payment' THEN 1 ELSE -1 END) AS bigint)
FROM deals_payment p
JOIN deals_deal d ON d.org_id = p.org_id AND d.id = p.deal_id AND d.deleted_at IS NULL
LEFT JOIN deals_payment o ON o.org_id = p.org_id AND o.id = p.of_id
WHERE p.state = 'verified' AND (o.id IS NULL OR o.state = 'verified')
GROUP BY p.org_id, p.received_on, p.currency;
