CREATE FUNCTION files_file_collected() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO files_garbage (key, variants, due_at) VALUES (OLD.key, OLD.variants, 0)
    ON CONFLICT (key) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER files_file_collected
AFTER DELETE ON files_file
FOR EACH ROW EXECUTE FUNCTION files_file_collected();
