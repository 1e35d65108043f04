DROP INDEX chat_message_words;
ALTER TABLE chat_message DROP COLUMN words;
DROP TRIGGER chat_file_gone ON chat_file;
DROP FUNCTION chat_file_gone;
