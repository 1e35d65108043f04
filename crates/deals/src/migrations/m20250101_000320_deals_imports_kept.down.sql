DROP INDEX deals_import_running;
UPDATE deals_import SET failed = kept WHERE status = 'reverted';
ALTER TABLE deals_import DROP COLUMN kept;
