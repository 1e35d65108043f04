ALTER TABLE users ADD COLUMN picture_id bigint
    CONSTRAINT users_picture_id_fkey REFERENCES files_file (id) ON DELETE SET NULL;
CREATE INDEX users_picture_id ON users (picture_id) WHERE picture_id IS NOT NULL;
