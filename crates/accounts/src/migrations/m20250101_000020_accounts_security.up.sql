ALTER TABLE users ADD COLUMN erased_at bigint;
CREATE INDEX users_legacy_hash ON users (id) WHERE substr(password_hash, 1, 1) <> '$';
CREATE INDEX users_email_key ON users (email_key, id);
CREATE INDEX users_teachers_by_name ON users (username_key, id) WHERE is_teacher;
CREATE INDEX users_staff_by_name ON users (username_key, id) WHERE is_staff;
CREATE INDEX users_superusers_by_name ON users (username_key, id) WHERE is_superuser;
CREATE INDEX users_inactive_by_name ON users (username_key, id) WHERE NOT is_active;

ALTER TABLE accounts_session ADD COLUMN authenticated_at bigint NOT NULL DEFAULT 0;
UPDATE accounts_session SET authenticated_at = created_at;
ALTER TABLE accounts_session ADD COLUMN second_factor boolean NOT NULL DEFAULT false;
CREATE INDEX accounts_session_user_id_id ON accounts_session (user_id, id);

ALTER TABLE accounts_user_token ADD COLUMN last4 text NOT NULL DEFAULT '';
ALTER TABLE accounts_user_token ADD COLUMN read_only boolean NOT NULL DEFAULT false;

ALTER TABLE accounts_signing_key ADD COLUMN public_key {bytes};
ALTER TABLE accounts_signing_key ADD COLUMN retired_at bigint;
ALTER TABLE accounts_signing_key ADD COLUMN verifies_until bigint;

CREATE TABLE accounts_one_time_token (
    id {id},
    user_id bigint NOT NULL CONSTRAINT accounts_one_time_token_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    session_id bigint
        CONSTRAINT accounts_one_time_token_session_id_fkey REFERENCES accounts_session (id) ON DELETE CASCADE,
    purpose text NOT NULL CONSTRAINT accounts_one_time_token_purpose_check
        CHECK (purpose IN ('verify_email', 'change_email', 'reset_password', 'second_factor', 'socket')),
    token_sha256 {bytes} NOT NULL CONSTRAINT accounts_one_time_token_sha256_key UNIQUE,
    email text NOT NULL,
    auth_epoch bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);
CREATE INDEX accounts_one_time_token_user_id ON accounts_one_time_token (user_id, purpose);
CREATE INDEX accounts_one_time_token_session_id ON accounts_one_time_token (session_id);
CREATE INDEX accounts_one_time_token_expires_at ON accounts_one_time_token (expires_at);

CREATE TABLE accounts_totp (
    user_id bigint NOT NULL CONSTRAINT accounts_totp_pkey PRIMARY KEY
        CONSTRAINT accounts_totp_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    secret {bytes} NOT NULL,
    last_step bigint NOT NULL,
    created_at bigint NOT NULL,
    confirmed_at bigint
);

CREATE TABLE accounts_recovery_code (
    id {id},
    user_id bigint NOT NULL CONSTRAINT accounts_recovery_code_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    code_sha256 {bytes} NOT NULL,
    created_at bigint NOT NULL,
    used_at bigint,
    CONSTRAINT accounts_recovery_code_key UNIQUE (user_id, code_sha256)
);

CREATE TABLE accounts_throttle (
    bucket {bytes} NOT NULL CONSTRAINT accounts_throttle_pkey PRIMARY KEY,
    failures bigint NOT NULL CONSTRAINT accounts_throttle_failures_check CHECK (failures > 0),
    updated_at bigint NOT NULL,
    forgotten_at bigint NOT NULL
);
CREATE INDEX accounts_throttle_forgotten_at ON accounts_throttle (forgotten_at);

CREATE TABLE accounts_known_network (
    user_id bigint NOT NULL CONSTRAINT accounts_known_network_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    network {bytes} NOT NULL,
    last_seen_at bigint NOT NULL,
    CONSTRAINT accounts_known_network_pkey PRIMARY KEY (user_id, network)
);
CREATE INDEX accounts_known_network_last_seen_at ON accounts_known_network (last_seen_at);
