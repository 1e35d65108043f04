DROP TRIGGER messaging_message_words_update;
DROP TRIGGER messaging_message_words_delete;
DROP TRIGGER messaging_message_words_insert;
DROP TABLE messaging_message_words;
CREATE VIRTUAL TABLE messaging_message_words USING fts5(
    words, content='', contentless_delete=1, detail='none', prefix='2 3', tokenize='ascii'
);
INSERT INTO messaging_message_words (rowid, words)
    SELECT id, search_text FROM messaging_message WHERE search_text <> '' ORDER BY id;
CREATE TRIGGER messaging_message_words_delete AFTER DELETE ON messaging_message
BEGIN
    DELETE FROM messaging_message_words WHERE rowid = OLD.id;
END;
ALTER TABLE messaging_message DROP COLUMN search_text;
