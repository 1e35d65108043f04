CREATE TABLE users (
    id {id},
    public_id {uuid} NOT NULL CONSTRAINT users_public_id_key UNIQUE,
    username text NOT NULL CONSTRAINT users_username_check CHECK (username <> ''),
    username_key {key} NOT NULL CONSTRAINT users_username_key_key UNIQUE,
    display_name text NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    email text NOT NULL,
    email_key {key} NOT NULL,
    email_verified_at bigint,
    password_hash text,
    is_active boolean NOT NULL,
    is_teacher boolean NOT NULL,
    is_staff boolean NOT NULL,
    is_superuser boolean NOT NULL,
    auth_epoch bigint NOT NULL,
    last_login bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE UNIQUE INDEX users_verified_email_key ON users (email_key) WHERE email_verified_at IS NOT NULL;
CREATE INDEX users_created_at_id ON users (created_at, id);
CREATE INDEX users_superusers ON users (id) WHERE is_superuser;

CREATE TABLE accounts_session (
    id {id},
    user_id bigint NOT NULL CONSTRAINT accounts_session_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    auth_epoch bigint NOT NULL,
    ip text,
    user_agent text,
    seen_generation bigint NOT NULL CONSTRAINT accounts_session_seen_generation_check CHECK (seen_generation >= -1),
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint,
    revoke_reason text,
    CONSTRAINT accounts_session_revoked_check CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
);
CREATE INDEX accounts_session_user_id ON accounts_session (user_id, revoked_at);
CREATE INDEX accounts_session_expires_at ON accounts_session (expires_at);

CREATE TABLE accounts_refresh_token (
    id {id},
    session_id bigint NOT NULL
        CONSTRAINT accounts_refresh_token_session_id_fkey REFERENCES accounts_session (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT accounts_refresh_token_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    generation bigint NOT NULL CONSTRAINT accounts_refresh_token_generation_check CHECK (generation >= 0),
    jti text NOT NULL CONSTRAINT accounts_refresh_token_jti_key UNIQUE,
    kid text NOT NULL,
    issued_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    consumed_at bigint,
    CONSTRAINT accounts_refresh_token_generation_key UNIQUE (session_id, generation)
);
CREATE INDEX accounts_refresh_token_user_id ON accounts_refresh_token (user_id);
CREATE INDEX accounts_refresh_token_expires_at ON accounts_refresh_token (expires_at);

CREATE TABLE accounts_user_token (
    id {id},
    user_id bigint NOT NULL CONSTRAINT accounts_user_token_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    name text NOT NULL,
    prefix text NOT NULL,
    token_sha256 {bytes} NOT NULL CONSTRAINT accounts_user_token_sha256_key UNIQUE,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    last_used_at bigint
);
CREATE INDEX accounts_user_token_user_id ON accounts_user_token (user_id, id);
CREATE INDEX accounts_user_token_expires_at ON accounts_user_token (expires_at);

CREATE TABLE accounts_signing_key (
    id {id},
    kid text NOT NULL CONSTRAINT accounts_signing_key_kid_key UNIQUE,
    seed {bytes} NOT NULL,
    is_active boolean NOT NULL,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX accounts_signing_key_active ON accounts_signing_key (is_active) WHERE is_active;
