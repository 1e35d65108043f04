ALTER TABLE messaging_message ADD COLUMN search_text text NOT NULL DEFAULT '';
DROP TRIGGER messaging_message_words_delete;
DROP TABLE messaging_message_words;
CREATE VIRTUAL TABLE messaging_message_words USING fts5(
    search_text, content='messaging_message', content_rowid='id', detail='none', prefix='2 3', tokenize='ascii'
);
CREATE TRIGGER messaging_message_words_insert AFTER INSERT ON messaging_message
BEGIN
    INSERT INTO messaging_message_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
END;
CREATE TRIGGER messaging_message_words_delete AFTER DELETE ON messaging_message
BEGIN
    INSERT INTO messaging_message_words (messaging_message_words, rowid, search_text)
    VALUES ('delete', OLD.id, OLD.search_text);
END;
CREATE TRIGGER messaging_message_words_update AFTER UPDATE OF search_text ON messaging_message
BEGIN
    INSERT INTO messaging_message_words (messaging_message_words, rowid, search_text)
    VALUES ('delete', OLD.id, OLD.search_text);
    INSERT INTO messaging_message_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
END;
INSERT INTO messaging_message_words (messaging_message_words) VALUES ('rebuild');
