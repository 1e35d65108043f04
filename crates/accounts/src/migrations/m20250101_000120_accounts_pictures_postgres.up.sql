-- The file of a picture that was replaced or removed, or whose user was deleted.
CREATE FUNCTION users_picture_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM files_file WHERE id = OLD.picture_id;
    RETURN NULL;
END $$;
CREATE TRIGGER users_picture_gone
AFTER DELETE ON users
FOR EACH ROW WHEN (OLD.picture_id IS NOT NULL)
EXECUTE FUNCTION users_picture_gone();
CREATE TRIGGER users_picture_replaced
AFTER UPDATE OF picture_id ON users
FOR EACH ROW WHEN (OLD.picture_id IS NOT NULL AND OLD.picture_id IS DISTINCT FROM NEW.picture_id)
EXECUTE FUNCTION users_picture_gone();
