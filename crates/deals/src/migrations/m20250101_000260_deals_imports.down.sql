DROP INDEX deals_deal_import_id;
DROP INDEX deals_client_import_id;
ALTER TABLE deals_deal DROP COLUMN import_id;
ALTER TABLE deals_client DROP COLUMN import_id;
DROP TABLE deals_import;
