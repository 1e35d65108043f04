CREATE FUNCTION chat_file_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM files_file WHERE id = OLD.file_id;
    RETURN NULL;
END $$;
CREATE TRIGGER chat_file_gone
AFTER DELETE ON chat_file
FOR EACH ROW EXECUTE FUNCTION chat_file_gone();
ALTER TABLE chat_message
    ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', search_text)) STORED;
CREATE INDEX chat_message_words ON chat_message USING gin (words);
