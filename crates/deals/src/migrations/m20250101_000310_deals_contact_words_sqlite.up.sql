CREATE VIRTUAL TABLE deals_contact_words
    USING fts5(search_text, content='deals_contact', content_rowid='id', tokenize='trigram');
INSERT INTO deals_contact_words (deals_contact_words) VALUES ('rebuild');
CREATE TRIGGER deals_contact_words_insert AFTER INSERT ON deals_contact BEGIN
    INSERT INTO deals_contact_words (rowid, search_text) VALUES (new.id, new.search_text);
END;
CREATE TRIGGER deals_contact_words_delete AFTER DELETE ON deals_contact BEGIN
    INSERT INTO deals_contact_words (deals_contact_words, rowid, search_text)
        VALUES ('delete', old.id, old.search_text);
END;
CREATE TRIGGER deals_contact_words_update AFTER UPDATE OF search_text ON deals_contact
WHEN old.search_text <> new.search_text BEGIN
    INSERT INTO deals_contact_words (deals_contact_words, rowid, search_text)
        VALUES ('delete', old.id, old.search_text);
    INSERT INTO deals_contact_words (rowid, search_text) VALUES (new.id, new.search_text);
END;
