DROP TRIGGER deals_contact_words_update;
DROP TRIGGER deals_contact_words_delete;
DROP TRIGGER deals_contact_words_insert;
DROP TABLE deals_contact_words;
ALTER TABLE deals_contact DROP COLUMN search_text;
