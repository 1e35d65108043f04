DROP INDEX users_picture_id;
ALTER TABLE users DROP COLUMN picture_id;
