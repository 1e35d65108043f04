-- The file of a picture that was replaced or removed, or whose user was deleted.
CREATE TRIGGER users_picture_gone
AFTER DELETE ON users
WHEN OLD.picture_id IS NOT NULL
BEGIN
    DELETE FROM files_file WHERE id = OLD.picture_id;
END;
CREATE TRIGGER users_picture_replaced
AFTER UPDATE OF picture_id ON users
WHEN OLD.picture_id IS NOT NULL AND OLD.picture_id IS NOT NEW.picture_id
BEGIN
    DELETE FROM files_file WHERE id = OLD.picture_id;
END;
