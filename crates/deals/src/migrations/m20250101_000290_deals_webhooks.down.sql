DROP INDEX deals_task_remind_at;
ALTER TABLE deals_task DROP COLUMN is_reminded;
ALTER TABLE deals_task DROP COLUMN remind_at;
DROP TABLE deals_delivery;
DROP TABLE deals_webhook;
ALTER TABLE deals_organization DROP COLUMN approval_above_minor;
ALTER TABLE deals_organization DROP COLUMN time_zone;
ALTER TABLE deals_organization DROP COLUMN has_webhooks;
