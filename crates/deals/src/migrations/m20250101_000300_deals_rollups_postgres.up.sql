CREATE FUNCTION deals_rollup_add() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deals_rollup
    SELECT org_id, stage_id, currency, substr(close_key, 1, 7), archived_at IS NOT NULL, COUNT(*),
        SUM(value_minor / 1000000000)::bigint, SUM(value_minor % 1000000000)::bigint,
        SUM((value_minor / 1000000000) * probability)::bigint, SUM((value_minor % 1000000000) * probability)::bigint
    FROM added WHERE deleted_at IS NULL
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (org_id, stage_id, currency, month, is_archived) DO UPDATE SET
        n = deals_rollup.n + excluded.n, hi = deals_rollup.hi + excluded.hi, lo = deals_rollup.lo + excluded.lo,
        weighted_hi = deals_rollup.weighted_hi + excluded.weighted_hi,
        weighted_lo = deals_rollup.weighted_lo + excluded.weighted_lo;
    RETURN NULL;
END $$;
CREATE FUNCTION deals_rollup_remove() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE deals_rollup r SET
        n = r.n - d.n, hi = r.hi - d.hi, lo = r.lo - d.lo,
        weighted_hi = r.weighted_hi - d.weighted_hi, weighted_lo = r.weighted_lo - d.weighted_lo
    FROM (
        SELECT org_id, stage_id, currency, substr(close_key, 1, 7) AS month, archived_at IS NOT NULL AS is_archived,
            COUNT(*) AS n, SUM(value_minor / 1000000000)::bigint AS hi, SUM(value_minor % 1000000000)::bigint AS lo,
            SUM((value_minor / 1000000000) * probability)::bigint AS weighted_hi,
            SUM((value_minor % 1000000000) * probability)::bigint AS weighted_lo
        FROM removed WHERE deleted_at IS NULL GROUP BY 1, 2, 3, 4, 5
    ) d
    WHERE r.org_id = d.org_id AND r.stage_id = d.stage_id AND r.currency = d.currency AND r.month = d.month
        AND r.is_archived = d.is_archived;
    RETURN NULL;
END $$;
CREATE FUNCTION deals_rollup_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deals_rollup
    SELECT org_id, stage_id, currency, substr(close_key, 1, 7), archived_at IS NOT NULL, SUM(sign)::bigint,
        SUM(sign * (value_minor / 1000000000))::bigint, SUM(sign * (value_minor % 1000000000))::bigint,
        SUM(sign * (value_minor / 1000000000) * probability)::bigint,
        SUM(sign * (value_minor % 1000000000) * probability)::bigint
    FROM (
        SELECT 1 AS sign, org_id, stage_id, currency, close_key, archived_at, value_minor, probability
        FROM added WHERE deleted_at IS NULL
        UNION ALL
        SELECT -1, org_id, stage_id, currency, close_key, archived_at, value_minor, probability
        FROM removed WHERE deleted_at IS NULL
    ) d
    GROUP BY 1, 2, 3, 4, 5
    HAVING SUM(sign) <> 0 OR SUM(sign * value_minor) <> 0 OR SUM(sign * value_minor * probability::numeric) <> 0
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (org_id, stage_id, currency, month, is_archived) DO UPDATE SET
        n = deals_rollup.n + excluded.n, hi = deals_rollup.hi + excluded.hi, lo = deals_rollup.lo + excluded.lo,
        weighted_hi = deals_rollup.weighted_hi + excluded.weighted_hi,
        weighted_lo = deals_rollup.weighted_lo + excluded.weighted_lo;
    INSERT INTO deals_revenue
    SELECT p.org_id, p.received_on, p.currency, SUM(d.sign)::bigint,
        SUM(d.sign * (p.amount_minor / 1000000000) * CASE WHEN p.kind = 'payment' THEN 1 ELSE -1 END)::bigint,
        SUM(d.sign * (p.amount_minor % 1000000000) * CASE WHEN p.kind = 'payment' THEN 1 ELSE -1 END)::bigint
    FROM (
        SELECT a.org_id, a.id, CASE WHEN a.deleted_at IS NULL THEN 1 ELSE -1 END AS sign
        FROM added a JOIN removed r ON r.id = a.id
        WHERE (a.deleted_at IS NULL) <> (r.deleted_at IS NULL)
    ) d
    JOIN deals_payment p ON p.org_id = d.org_id AND p.deal_id = d.id AND p.state = 'verified'
    LEFT JOIN deals_payment o ON o.org_id = p.org_id AND o.id = p.of_id
    WHERE o.id IS NULL OR o.state = 'verified'
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (org_id, day, currency) DO UPDATE SET
        n = deals_revenue.n + excluded.n, hi = deals_revenue.hi + excluded.hi, lo = deals_revenue.lo + excluded.lo;
    RETURN NULL;
END $$;
CREATE FUNCTION deals_revenue_add() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deals_revenue
    SELECT p.org_id, p.received_on, p.currency, COUNT(*),
        SUM((p.amount_minor / 1000000000) * CASE WHEN p.kind = 'payment' THEN 1 ELSE -1 END)::bigint,
        SUM((p.amount_minor % 1000000000) * CASE WHEN p.kind = 'payment' THEN 1 ELSE -1 END)::bigint
    FROM added p
    JOIN deals_deal d ON d.org_id = p.org_id AND d.id = p.deal_id AND d.deleted_at IS NULL
    LEFT JOIN deals_payment o ON o.org_id = p.org_id AND o.id = p.of_id
    WHERE p.state = 'verified' AND (o.id IS NULL OR o.state = 'verified')
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (org_id, day, currency) DO UPDATE SET
        n = deals_revenue.n + excluded.n, hi = deals_revenue.hi + excluded.hi, lo = deals_revenue.lo + excluded.lo;
    RETURN NULL;
END $$;
CREATE FUNCTION deals_revenue_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deals_revenue
    SELECT a.org_id, a.received_on, a.currency,
        SUM(CASE WHEN a.state = 'verified' THEN 1 ELSE -1 END)::bigint,
        SUM((a.amount_minor / 1000000000) * CASE WHEN a.state = 'verified' THEN 1 ELSE -1 END)::bigint,
        SUM((a.amount_minor % 1000000000) * CASE WHEN a.state = 'verified' THEN 1 ELSE -1 END)::bigint
    FROM added a
    JOIN removed r ON r.id = a.id AND (a.state = 'verified') <> (r.state = 'verified')
    JOIN deals_deal d ON d.org_id = a.org_id AND d.id = a.deal_id AND d.deleted_at IS NULL
    WHERE a.of_id IS NULL
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (org_id, day, currency) DO UPDATE SET
        n = deals_revenue.n + excluded.n, hi = deals_revenue.hi + excluded.hi, lo = deals_revenue.lo + excluded.lo;
    RETURN NULL;
END $$;
CREATE TRIGGER deals_rollup_deal_insert AFTER INSERT ON deals_deal
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION deals_rollup_add();
CREATE TRIGGER deals_rollup_deal_delete AFTER DELETE ON deals_deal
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION deals_rollup_remove();
CREATE TRIGGER deals_rollup_deal_update AFTER UPDATE ON deals_deal
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION deals_rollup_change();
CREATE TRIGGER deals_revenue_payment_insert AFTER INSERT ON deals_payment
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION deals_revenue_add();
CREATE TRIGGER deals_revenue_payment_update AFTER UPDATE ON deals_payment
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION deals_revenue_change();
