CREATE FUNCTION messaging_attachment_file_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM files_file WHERE id = OLD.file_id;
    RETURN NULL;
END $$;
CREATE TRIGGER messaging_attachment_file_gone
AFTER DELETE ON messaging_attachment
FOR EACH ROW EXECUTE FUNCTION messaging_attachment_file_gone();
