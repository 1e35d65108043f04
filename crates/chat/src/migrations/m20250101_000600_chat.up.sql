CREATE TABLE chat_room (
    id {id},
    host_id bigint CONSTRAINT chat_room_host_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    name text NOT NULL,
    description text NOT NULL,
    is_listed boolean NOT NULL,
    auto_approve boolean NOT NULL,
    history_from_start boolean NOT NULL,
    allow_file_uploads boolean NOT NULL,
    slow_mode_seconds bigint NOT NULL,
    max_participants bigint NOT NULL,
    participant_count bigint NOT NULL,
    is_active boolean NOT NULL,
    host_away_since bigint,
    closed_at bigint,
    last_seq bigint NOT NULL,
    last_no bigint NOT NULL,
    last_hash text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT chat_room_host_check CHECK (host_id IS NOT NULL OR NOT is_active),
    CONSTRAINT chat_room_slow_mode_seconds_check CHECK (slow_mode_seconds BETWEEN 0 AND 3600),
    CONSTRAINT chat_room_max_participants_check CHECK (max_participants BETWEEN 2 AND 10000),
    CONSTRAINT chat_room_participant_count_check CHECK (participant_count BETWEEN 0 AND max_participants),
    CONSTRAINT chat_room_last_seq_check CHECK (last_seq >= last_no AND last_no >= 0),
    CONSTRAINT chat_room_closed_at_check CHECK (is_active = (closed_at IS NULL)),
    CONSTRAINT chat_room_host_away_since_check CHECK (host_away_since IS NULL OR is_active)
);
CREATE INDEX chat_room_host_id ON chat_room (host_id) WHERE host_id IS NOT NULL;
CREATE INDEX chat_room_listed ON chat_room (created_at, id) WHERE is_active AND is_listed;
CREATE INDEX chat_room_away ON chat_room (host_away_since) WHERE host_away_since IS NOT NULL;

CREATE TABLE chat_participant (
    room_id bigint NOT NULL
        CONSTRAINT chat_participant_room_id_fkey REFERENCES chat_room (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT chat_participant_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    role text NOT NULL CONSTRAINT chat_participant_role_check CHECK (role IN ('host', 'cohost', 'member')),
    state text NOT NULL CONSTRAINT chat_participant_state_check CHECK (state IN ('active', 'left', 'removed')),
    joined_seq bigint NOT NULL,
    joined_at bigint NOT NULL,
    last_read_no bigint NOT NULL,
    last_sent_at bigint,
    muted_until bigint,
    CONSTRAINT chat_participant_pkey PRIMARY KEY (room_id, user_id)
);
CREATE INDEX chat_participant_active ON chat_participant (room_id, joined_seq, user_id) WHERE state = 'active';
CREATE INDEX chat_participant_user_id ON chat_participant (user_id, room_id);

CREATE TABLE chat_join_request (
    id {id},
    room_id bigint NOT NULL
        CONSTRAINT chat_join_request_room_id_fkey REFERENCES chat_room (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT chat_join_request_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    status text NOT NULL CONSTRAINT chat_join_request_status_check
        CHECK (status IN ('pending', 'approved', 'denied', 'withdrawn', 'expired')),
    decided_by bigint CONSTRAINT chat_join_request_decided_by_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    created_at bigint NOT NULL,
    decided_at bigint
);
CREATE UNIQUE INDEX chat_join_request_pending ON chat_join_request (room_id, user_id) WHERE status = 'pending';
CREATE INDEX chat_join_request_waiting ON chat_join_request (room_id, id) WHERE status = 'pending';
CREATE INDEX chat_join_request_oldest ON chat_join_request (created_at) WHERE status = 'pending';
CREATE INDEX chat_join_request_latest ON chat_join_request (room_id, user_id, id);
CREATE INDEX chat_join_request_user_id ON chat_join_request (user_id);
CREATE INDEX chat_join_request_decided_by ON chat_join_request (decided_by) WHERE decided_by IS NOT NULL;

CREATE TABLE chat_message (
    id {id},
    room_id bigint NOT NULL CONSTRAINT chat_message_room_id_fkey REFERENCES chat_room (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    no bigint NOT NULL,
    message_type text NOT NULL
        CONSTRAINT chat_message_message_type_check CHECK (message_type IN ('text', 'system', 'file')),
    sender_id bigint CONSTRAINT chat_message_sender_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    event text,
    subject_id bigint CONSTRAINT chat_message_subject_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    content text NOT NULL,
    content_seq bigint NOT NULL,
    salt text NOT NULL,
    search_text text NOT NULL,
    reply_to_id bigint CONSTRAINT chat_message_reply_to_id_fkey REFERENCES chat_message (id) ON DELETE SET NULL,
    client_id {key},
    created_at bigint NOT NULL,
    edited_at bigint,
    deleted_at bigint,
    CONSTRAINT chat_message_room_id_seq_key UNIQUE (room_id, seq),
    CONSTRAINT chat_message_room_id_no_key UNIQUE (room_id, no),
    CONSTRAINT chat_message_room_id_content_seq_key UNIQUE (room_id, content_seq),
    CONSTRAINT chat_message_sender_id_client_id_key UNIQUE (sender_id, client_id),
    CONSTRAINT chat_message_seq_check CHECK (seq >= no AND no > 0 AND content_seq >= seq)
);
CREATE INDEX chat_message_subject_id ON chat_message (subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX chat_message_reply_to_id ON chat_message (reply_to_id) WHERE reply_to_id IS NOT NULL;

CREATE TABLE chat_file (
    message_id bigint NOT NULL CONSTRAINT chat_file_pkey PRIMARY KEY
        CONSTRAINT chat_file_message_id_fkey REFERENCES chat_message (id) ON DELETE CASCADE,
    file_id bigint NOT NULL CONSTRAINT chat_file_file_id_key UNIQUE
        CONSTRAINT chat_file_file_id_fkey REFERENCES files_file (id),
    name text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL
);

CREATE TABLE chat_revision (
    message_id bigint NOT NULL
        CONSTRAINT chat_revision_message_id_fkey REFERENCES chat_message (id) ON DELETE CASCADE,
    room_id bigint NOT NULL CONSTRAINT chat_revision_room_id_fkey REFERENCES chat_room (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    content text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT chat_revision_pkey PRIMARY KEY (room_id, seq)
);
CREATE INDEX chat_revision_message_id ON chat_revision (message_id, seq);

CREATE TABLE chat_reaction (
    message_id bigint NOT NULL
        CONSTRAINT chat_reaction_message_id_fkey REFERENCES chat_message (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT chat_reaction_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    emoji {key} NOT NULL CONSTRAINT chat_reaction_emoji_check CHECK (emoji <> ''),
    created_at bigint NOT NULL,
    CONSTRAINT chat_reaction_pkey PRIMARY KEY (message_id, user_id, emoji)
);
CREATE INDEX chat_reaction_user_id ON chat_reaction (user_id);

CREATE TABLE chat_pin (
    message_id bigint NOT NULL CONSTRAINT chat_pin_pkey PRIMARY KEY
        CONSTRAINT chat_pin_message_id_fkey REFERENCES chat_message (id) ON DELETE CASCADE,
    room_id bigint NOT NULL CONSTRAINT chat_pin_room_id_fkey REFERENCES chat_room (id) ON DELETE CASCADE,
    pinned_by bigint CONSTRAINT chat_pin_pinned_by_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    created_at bigint NOT NULL
);
CREATE INDEX chat_pin_room_id ON chat_pin (room_id, message_id);
CREATE INDEX chat_pin_pinned_by ON chat_pin (pinned_by) WHERE pinned_by IS NOT NULL;

CREATE TABLE chat_event (
    room_id bigint NOT NULL CONSTRAINT chat_event_room_id_fkey REFERENCES chat_room (id) ON DELETE CASCADE,
    seq bigint NOT NULL CONSTRAINT chat_event_seq_check CHECK (seq > 0),
    record text NOT NULL,
    hash text NOT NULL,
    CONSTRAINT chat_event_pkey PRIMARY KEY (room_id, seq)
);

CREATE TABLE chat_host_connection (
    room_id bigint NOT NULL
        CONSTRAINT chat_host_connection_room_id_fkey REFERENCES chat_room (id) ON DELETE CASCADE,
    node text NOT NULL,
    seen_at bigint NOT NULL,
    CONSTRAINT chat_host_connection_pkey PRIMARY KEY (room_id, node)
);
CREATE INDEX chat_host_connection_node ON chat_host_connection (node);
CREATE INDEX chat_host_connection_seen_at ON chat_host_connection (seen_at);
