-- The user token that a WebSocket ticket was issued for.
ALTER TABLE accounts_one_time_token ADD COLUMN user_token_id bigint
    CONSTRAINT accounts_one_time_token_user_token_id_fkey REFERENCES accounts_user_token (id) ON DELETE CASCADE;
CREATE INDEX accounts_one_time_token_user_token_id ON accounts_one_time_token (user_token_id)
    WHERE user_token_id IS NOT NULL;
