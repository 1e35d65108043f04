CREATE TRIGGER files_file_collected
AFTER DELETE ON files_file
FOR EACH ROW
BEGIN
    INSERT INTO files_garbage (key, variants, due_at) VALUES (OLD.key, OLD.variants, 0)
    ON CONFLICT (key) DO NOTHING;
END;
