DROP TRIGGER users_count_insert;
DROP TRIGGER users_count_update;
DROP TRIGGER users_count_delete;
