DROP TRIGGER chat_message_words_update;
DROP TRIGGER chat_message_words_delete;
DROP TRIGGER chat_message_words_insert;
DROP TABLE chat_message_words;
DROP TRIGGER chat_file_gone;
