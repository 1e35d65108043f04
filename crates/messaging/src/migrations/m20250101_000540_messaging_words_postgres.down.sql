DROP INDEX messaging_message_words;
ALTER TABLE messaging_message DROP COLUMN words;
ALTER TABLE messaging_message ADD COLUMN search_text text NOT NULL DEFAULT '';
ALTER TABLE messaging_message
    ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', search_text)) STORED;
CREATE INDEX messaging_message_words ON messaging_message USING gin (words);
