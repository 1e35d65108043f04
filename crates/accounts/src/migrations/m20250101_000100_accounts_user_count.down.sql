DROP TABLE accounts_user_count;
