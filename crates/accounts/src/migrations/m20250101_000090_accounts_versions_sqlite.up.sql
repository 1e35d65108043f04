-- Versions of the tables whose rows are counted in long lists.
INSERT INTO kernel_table_version (name, version) VALUES ('users', 0);
CREATE TRIGGER users_version_insert AFTER INSERT ON users
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'users';
END;
CREATE TRIGGER users_version_update AFTER UPDATE ON users
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'users';
END;
CREATE TRIGGER users_version_delete AFTER DELETE ON users
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'users';
END;
