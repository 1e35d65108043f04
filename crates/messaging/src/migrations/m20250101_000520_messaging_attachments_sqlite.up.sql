CREATE TRIGGER messaging_attachment_file_gone
AFTER DELETE ON messaging_attachment
BEGIN
    DELETE FROM files_file WHERE id = OLD.file_id;
END;
