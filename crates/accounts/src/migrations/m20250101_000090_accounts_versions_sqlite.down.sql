DROP TRIGGER users_version_insert;
DROP TRIGGER users_version_update;
DROP TRIGGER users_version_delete;
DELETE FROM kernel_table_version WHERE name = 'users';
