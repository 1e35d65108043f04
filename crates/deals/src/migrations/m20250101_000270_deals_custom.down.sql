DROP TABLE deals_view;
ALTER TABLE deals_deal DROP COLUMN custom;
ALTER TABLE deals_client DROP COLUMN custom;
DROP TABLE deals_custom_value;
DROP TABLE deals_custom_field;
