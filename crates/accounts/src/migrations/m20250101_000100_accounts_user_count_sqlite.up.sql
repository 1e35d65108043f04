INSERT INTO accounts_user_count (id, active)
SELECT 1, COUNT(*) FROM users WHERE is_active AND erased_at IS NULL;
CREATE TRIGGER users_count_insert AFTER INSERT ON users WHEN NEW.is_active AND NEW.erased_at IS NULL
BEGIN
    UPDATE accounts_user_count SET active = active + 1;
END;
CREATE TRIGGER users_count_update AFTER UPDATE OF is_active, erased_at ON users
WHEN (NEW.is_active AND NEW.erased_at IS NULL) <> (OLD.is_active AND OLD.erased_at IS NULL)
BEGIN
    UPDATE accounts_user_count SET active = active + iif(NEW.is_active AND NEW.erased_at IS NULL, 1, -1);
END;
CREATE TRIGGER users_count_delete AFTER DELETE ON users WHEN OLD.is_active AND OLD.erased_at IS NULL
BEGIN
    UPDATE accounts_user_count SET active = active - 1;
END;
