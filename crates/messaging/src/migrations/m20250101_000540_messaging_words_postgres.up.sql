DROP INDEX messaging_message_words;
ALTER TABLE messaging_message ALTER COLUMN words DROP EXPRESSION;
ALTER TABLE messaging_message DROP COLUMN search_text;
-- Without the positions of the words.
UPDATE messaging_message SET words = strip(words);
CREATE INDEX messaging_message_words ON messaging_message USING gin (words);
