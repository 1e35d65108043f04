CREATE TABLE notifications_queue (
    id {id},
    event_id bigint NOT NULL,
    recipient_id bigint NOT NULL
        CONSTRAINT notifications_queue_recipient_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    kind text NOT NULL,
    group_key text NOT NULL,
    actor_id bigint CONSTRAINT notifications_queue_actor_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    target_kind text,
    target_id bigint,
    target_url text,
    subject text NOT NULL,
    created_at bigint NOT NULL,
    attempts bigint NOT NULL CONSTRAINT notifications_queue_attempts_check CHECK (attempts >= 0),
    next_at bigint,
    CONSTRAINT notifications_queue_event_id_recipient_id_key UNIQUE (event_id, recipient_id),
    CONSTRAINT notifications_queue_target_check
        CHECK ((target_kind IS NULL) = (target_id IS NULL) AND (target_kind IS NULL) = (target_url IS NULL))
);
CREATE INDEX notifications_queue_next_at ON notifications_queue (next_at, id) WHERE next_at IS NOT NULL;
CREATE INDEX notifications_queue_handled ON notifications_queue (created_at) WHERE next_at IS NULL;
CREATE INDEX notifications_queue_recipient_id ON notifications_queue (recipient_id);
CREATE INDEX notifications_queue_actor_id ON notifications_queue (actor_id) WHERE actor_id IS NOT NULL;

CREATE TABLE notifications_notification (
    id {id},
    recipient_id bigint NOT NULL
        CONSTRAINT notifications_notification_recipient_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    kind text NOT NULL,
    group_key text NOT NULL,
    actor_id bigint CONSTRAINT notifications_notification_actor_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    actor_count bigint NOT NULL CONSTRAINT notifications_notification_actor_count_check CHECK (actor_count >= 0),
    event_count bigint NOT NULL CONSTRAINT notifications_notification_event_count_check CHECK (event_count > 0),
    event_id bigint NOT NULL,
    target_kind text,
    target_id bigint,
    target_url text,
    subject text NOT NULL,
    read_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT notifications_notification_target_check
        CHECK ((target_kind IS NULL) = (target_id IS NULL) AND (target_kind IS NULL) = (target_url IS NULL))
);
CREATE UNIQUE INDEX notifications_notification_group ON notifications_notification (recipient_id, kind, group_key)
    WHERE read_at IS NULL;
CREATE INDEX notifications_notification_newest ON notifications_notification (recipient_id, id);
CREATE INDEX notifications_notification_unread ON notifications_notification (recipient_id, id) WHERE read_at IS NULL;
CREATE INDEX notifications_notification_actor_id ON notifications_notification (actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX notifications_notification_read_at ON notifications_notification (read_at) WHERE read_at IS NOT NULL;
CREATE INDEX notifications_notification_updated_at ON notifications_notification (updated_at);

CREATE TABLE notifications_actor (
    notification_id bigint NOT NULL CONSTRAINT notifications_actor_notification_id_fkey
        REFERENCES notifications_notification (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT notifications_actor_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    CONSTRAINT notifications_actor_pkey PRIMARY KEY (notification_id, user_id)
);
CREATE INDEX notifications_actor_user_id ON notifications_actor (user_id);

CREATE TABLE notifications_due (
    id {id},
    recipient_id bigint NOT NULL
        CONSTRAINT notifications_due_recipient_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    channel text NOT NULL CONSTRAINT notifications_due_channel_check CHECK (channel IN ('email', 'push')),
    notification_id bigint CONSTRAINT notifications_due_notification_id_fkey
        REFERENCES notifications_notification (id) ON DELETE CASCADE,
    kind text NOT NULL,
    actor_id bigint CONSTRAINT notifications_due_actor_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    target_kind text,
    target_id bigint,
    target_url text,
    subject text NOT NULL,
    due_at bigint NOT NULL,
    CONSTRAINT notifications_due_target_check
        CHECK ((target_kind IS NULL) = (target_id IS NULL) AND (target_kind IS NULL) = (target_url IS NULL))
);
CREATE UNIQUE INDEX notifications_due_notification_id ON notifications_due (notification_id, channel)
    WHERE notification_id IS NOT NULL;
CREATE INDEX notifications_due_due_at ON notifications_due (due_at);
CREATE INDEX notifications_due_recipient_id ON notifications_due (recipient_id, due_at);
CREATE INDEX notifications_due_actor_id ON notifications_due (actor_id) WHERE actor_id IS NOT NULL;

CREATE TABLE notifications_preference (
    user_id bigint NOT NULL CONSTRAINT notifications_preference_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    kind text NOT NULL,
    channel text NOT NULL CONSTRAINT notifications_preference_channel_check
        CHECK (channel IN ('page', 'email', 'push')),
    is_on boolean NOT NULL,
    CONSTRAINT notifications_preference_pkey PRIMARY KEY (user_id, kind, channel)
);

CREATE TABLE notifications_settings (
    user_id bigint NOT NULL CONSTRAINT notifications_settings_pkey PRIMARY KEY
        CONSTRAINT notifications_settings_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    sends_emails boolean NOT NULL,
    digest text NOT NULL CONSTRAINT notifications_settings_digest_check CHECK (digest IN ('off', 'daily', 'weekly')),
    time_zone text NOT NULL,
    quiet_from bigint
        CONSTRAINT notifications_settings_quiet_from_check CHECK (quiet_from >= 0 AND quiet_from < 1440),
    quiet_until bigint
        CONSTRAINT notifications_settings_quiet_until_check CHECK (quiet_until >= 0 AND quiet_until < 1440),
    updated_at bigint NOT NULL,
    CONSTRAINT notifications_settings_quiet_check
        CHECK ((quiet_from IS NULL) = (quiet_until IS NULL) AND (quiet_from IS NULL OR quiet_from <> quiet_until))
);

CREATE TABLE notifications_subscription (
    id {id},
    user_id bigint NOT NULL
        CONSTRAINT notifications_subscription_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    endpoint {key} NOT NULL CONSTRAINT notifications_subscription_endpoint_key UNIQUE,
    p256dh {bytes} NOT NULL,
    auth {bytes} NOT NULL,
    created_at bigint NOT NULL,
    failed_at bigint
);
CREATE INDEX notifications_subscription_user_id ON notifications_subscription (user_id, id);
