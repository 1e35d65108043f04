DROP TRIGGER deals_revenue_payment_update;
DROP TRIGGER deals_revenue_payment_insert;
DROP TRIGGER deals_revenue_deal_trashed;
DROP TRIGGER deals_rollup_deal_update;
DROP TRIGGER deals_rollup_deal_delete;
DROP TRIGGER deals_rollup_deal_insert;
DROP TABLE deals_revenue;
DROP TABLE deals_rollup;
