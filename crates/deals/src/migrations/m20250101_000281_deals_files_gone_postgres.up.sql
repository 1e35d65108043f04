CREATE FUNCTION deals_file_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM files_file WHERE id = OLD.file_id;
    RETURN NULL;
END $$;
CREATE TRIGGER deals_file_gone
AFTER DELETE ON deals_file
FOR EACH ROW EXECUTE FUNCTION deals_file_gone();
