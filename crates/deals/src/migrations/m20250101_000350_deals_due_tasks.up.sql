ALTER TABLE deals_task ADD COLUMN announced_due_at bigint;
CREATE INDEX deals_task_not_announced ON deals_task (due_at)
    WHERE due_at IS NOT NULL AND done_at IS NULL AND announced_due_at IS DISTINCT FROM due_at;
