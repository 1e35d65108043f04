DROP INDEX deals_deal_value;
CREATE INDEX deals_deal_value ON deals_deal (org_id, currency, value_minor, id) WHERE deleted_at IS NULL;
DROP INDEX deals_deal_listed;
