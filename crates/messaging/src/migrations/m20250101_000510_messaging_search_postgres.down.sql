DROP INDEX messaging_message_words;
ALTER TABLE messaging_message DROP COLUMN words;
