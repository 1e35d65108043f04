DROP TABLE accounts_signing_key;
DROP TABLE accounts_user_token;
DROP TABLE accounts_refresh_token;
DROP TABLE accounts_session;
DROP TABLE users;
