CREATE INDEX deals_deal_listed ON deals_deal (org_id, owner_id, stage_id, number)
    WHERE deleted_at IS NULL AND archived_at IS NULL;
DROP INDEX deals_deal_value;
CREATE INDEX deals_deal_value ON deals_deal (org_id, currency, value_minor, id, archived_at) WHERE deleted_at IS NULL;
