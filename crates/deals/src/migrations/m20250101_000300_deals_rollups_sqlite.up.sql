CREATE TRIGGER deals_rollup_deal_insert AFTER INSERT ON deals_deal WHEN NEW.deleted_at IS NULL BEGIN
    INSERT INTO deals_rollup VALUES (
        NEW.org_id, NEW.stage_id, NEW.currency, substr(NEW.close_key, 1, 7), NEW.archived_at IS NOT NULL, 1,
        NEW.value_minor / 1000000000, NEW.value_minor % 1000000000,
        (NEW.value_minor / 1000000000) * NEW.probability, (NEW.value_minor % 1000000000) * NEW.probability
    )
    ON CONFLICT (org_id, stage_id, currency, month, is_archived) DO UPDATE SET
        n = n + excluded.n, hi = hi + excluded.hi, lo = lo + excluded.lo,
        weighted_hi = weighted_hi + excluded.weighted_hi, weighted_lo = weighted_lo + excluded.weighted_lo;
END;
CREATE TRIGGER deals_rollup_deal_delete AFTER DELETE ON deals_deal WHEN OLD.deleted_at IS NULL BEGIN
    UPDATE deals_rollup SET
        n = n - 1, hi = hi - OLD.value_minor / 1000000000, lo = lo - OLD.value_minor % 1000000000,
        weighted_hi = weighted_hi - (OLD.value_minor / 1000000000) * OLD.probability,
        weighted_lo = weighted_lo - (OLD.value_minor % 1000000000) * OLD.probability
    WHERE org_id = OLD.org_id AND stage_id = OLD.stage_id AND currency = OLD.currency
        AND month = substr(OLD.close_key, 1, 7) AND is_archived = (OLD.archived_at IS NOT NULL);
END;
CREATE TRIGGER deals_rollup_deal_update
AFTER UPDATE OF stage_id, currency, close_key, archived_at, deleted_at, value_minor, probability ON deals_deal BEGIN
    UPDATE deals_rollup SET
        n = n - 1, hi = hi - OLD.value_minor / 1000000000, lo = lo - OLD.value_minor % 1000000000,
        weighted_hi = weighted_hi - (OLD.value_minor / 1000000000) * OLD.probability,
        weighted_lo = weighted_lo - (OLD.value_minor % 1000000000) * OLD.probability
    WHERE OLD.deleted_at IS NULL AND org_id = OLD.org_id AND stage_id = OLD.stage_id AND currency = OLD.currency
        AND month = substr(OLD.close_key, 1, 7) AND is_archived = (OLD.archived_at IS NOT NULL);
    INSERT INTO deals_rollup
    SELECT
        NEW.org_id, NEW.stage_id, NEW.currency, substr(NEW.close_key, 1, 7), NEW.archived_at IS NOT NULL, 1,
        NEW.value_minor / 1000000000, NEW.value_minor % 1000000000,
        (NEW.value_minor / 1000000000) * NEW.probability, (NEW.value_minor % 1000000000) * NEW.probability
    WHERE NEW.deleted_at IS NULL
    ON CONFLICT (org_id, stage_id, currency, month, is_archived) DO UPDATE SET
        n = n + excluded.n, hi = hi + excluded.hi, lo = lo + excluded.lo,
        weighted_hi = weighted_hi + excluded.weighted_hi, weighted_lo = weighted_lo + excluded.weighted_lo;
END;
CREATE TRIGGER deals_revenue_deal_trashed AFTER UPDATE OF deleted_at ON deals_deal
WHEN (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) BEGIN
    INSERT INTO deals_revenue
    SELECT p.org_id, p.received_on, p.currency, SUM(CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END),
        SUM((p.amount_minor / 1000000000)
            * CASE WHEN (p.kind = 'payment') = (NEW.deleted_at IS NULL) THEN 1 ELSE -1 END),
        SUM((p.amount_minor % 1000000000)
            * CASE WHEN (p.kind = 'payment') = (NEW.deleted_at IS NULL) THEN 1 ELSE -1 END)
    FROM deals_payment p LEFT JOIN deals_payment o ON o.org_id = p.org_id AND o.id = p.of_id
    WHERE p.org_id = NEW.org_id AND p.deal_id = NEW.id AND p.state = 'verified'
        AND (o.id IS NULL OR o.state = 'verified')
    GROUP BY p.org_id, p.received_on, p.currency
    ON CONFLICT (org_id, day, currency) DO UPDATE SET
        n = n + excluded.n, hi = hi + excluded.hi, lo = lo + excluded.lo;
END;
CREATE TRIGGER deals_revenue_payment_insert AFTER INSERT ON deals_payment WHEN NEW.state = 'verified' BEGIN
    INSERT INTO deals_revenue
    SELECT NEW.org_id, NEW.received_on, NEW.currency, 1,
        (NEW.amount_minor / 1000000000) * CASE WHEN NEW.kind = 'payment' THEN 1 ELSE -1 END,
        (NEW.amount_minor % 1000000000) * CASE WHEN NEW.kind = 'payment' THEN 1 ELSE -1 END
    FROM deals_deal d
    WHERE d.org_id = NEW.org_id AND d.id = NEW.deal_id AND d.deleted_at IS NULL
        AND (NEW.of_id IS NULL OR EXISTS (
            SELECT 1 FROM deals_payment o WHERE o.org_id = NEW.org_id AND o.id = NEW.of_id AND o.state = 'verified'))
    ON CONFLICT (org_id, day, currency) DO UPDATE SET
        n = n + excluded.n, hi = hi + excluded.hi, lo = lo + excluded.lo;
END;
CREATE TRIGGER deals_revenue_payment_update AFTER UPDATE OF state ON deals_payment
WHEN (OLD.state = 'verified') <> (NEW.state = 'verified') AND NEW.of_id IS NULL BEGIN
    INSERT INTO deals_revenue
    SELECT NEW.org_id, NEW.received_on, NEW.currency, CASE WHEN NEW.state = 'verified' THEN 1 ELSE -1 END,
        (NEW.amount_minor / 1000000000) * CASE WHEN NEW.state = 'verified' THEN 1 ELSE -1 END,
        (NEW.amount_minor % 1000000000) * CASE WHEN NEW.state = 'verified' THEN 1 ELSE -1 END
    FROM deals_deal d
    WHERE d.org_id = NEW.org_id AND d.id = NEW.deal_id AND d.deleted_at IS NULL
    ON CONFLICT (org_id, day, currency) DO UPDATE SET
        n = n + excluded.n, hi = hi + excluded.hi, lo = lo + excluded.lo;
END;
