-- Versions of the tables whose rows are counted in long lists. Columns that no list is filtered by do not count, above
-- all those that change often.
INSERT INTO kernel_table_version (name, version) VALUES ('users', 0);
CREATE TRIGGER users_version_insert AFTER INSERT ON users
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'users';
END;
CREATE TRIGGER users_version_update AFTER UPDATE OF username, username_key, display_name, first_name, last_name, email,
    email_key, email_verified_at, is_active, is_teacher, is_staff, is_superuser, erased_at ON users
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'users';
END;
CREATE TRIGGER users_version_delete AFTER DELETE ON users
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'users';
END;
