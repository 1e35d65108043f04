DROP INDEX deals_deal_closed_at;
DROP INDEX deals_deal_created_at;
DROP INDEX deals_stage_change_moved_at;
DROP TABLE deals_merged_client;
DROP TABLE deals_task;
DROP TABLE deals_activity;
DROP TABLE deals_commission;
ALTER TABLE deals_member DROP COLUMN commission_bp;
