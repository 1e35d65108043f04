DROP INDEX deals_task_not_announced;
ALTER TABLE deals_task DROP COLUMN announced_due_at;
