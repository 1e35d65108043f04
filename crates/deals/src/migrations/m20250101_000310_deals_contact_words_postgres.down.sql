DROP INDEX deals_contact_words;
ALTER TABLE deals_contact DROP COLUMN search_text;
