ALTER TABLE deals_import ADD COLUMN kept bigint NOT NULL DEFAULT 0;
UPDATE deals_import SET kept = failed, failed = 0 WHERE status = 'reverted';
CREATE INDEX deals_import_running ON deals_import (updated_at) WHERE status = 'running';
