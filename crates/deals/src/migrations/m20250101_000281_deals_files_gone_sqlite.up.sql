CREATE TRIGGER deals_file_gone
AFTER DELETE ON deals_file
BEGIN
    DELETE FROM files_file WHERE id = OLD.file_id;
END;
