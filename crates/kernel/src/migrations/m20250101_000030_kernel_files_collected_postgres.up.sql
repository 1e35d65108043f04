CREATE FUNCTION kernel_file_collected() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kernel_file_garbage (key, variants, due_at) VALUES (OLD.key, OLD.variants, 0)
    ON CONFLICT (key) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER kernel_file_collected
AFTER DELETE ON kernel_file
FOR EACH ROW EXECUTE FUNCTION kernel_file_collected();
