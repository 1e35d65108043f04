CREATE TRIGGER chat_file_gone
AFTER DELETE ON chat_file
BEGIN
    DELETE FROM files_file WHERE id = OLD.file_id;
END;
CREATE VIRTUAL TABLE chat_message_words USING fts5(
    search_text, content='chat_message', content_rowid='id', detail='none', prefix='2 3', tokenize='ascii'
);
CREATE TRIGGER chat_message_words_insert AFTER INSERT ON chat_message
BEGIN
    INSERT INTO chat_message_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
END;
CREATE TRIGGER chat_message_words_delete AFTER DELETE ON chat_message
BEGIN
    INSERT INTO chat_message_words (chat_message_words, rowid, search_text)
    VALUES ('delete', OLD.id, OLD.search_text);
END;
CREATE TRIGGER chat_message_words_update AFTER UPDATE OF search_text ON chat_message
BEGIN
    INSERT INTO chat_message_words (chat_message_words, rowid, search_text)
    VALUES ('delete', OLD.id, OLD.search_text);
    INSERT INTO chat_message_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
END;
