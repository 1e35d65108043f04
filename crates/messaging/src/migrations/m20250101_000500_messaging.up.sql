CREATE TABLE messaging_conversation (
    id {id},
    kind text NOT NULL CONSTRAINT messaging_conversation_kind_check CHECK (kind IN ('direct', 'group')),
    name text NOT NULL,
    owner_id bigint CONSTRAINT messaging_conversation_owner_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    pair_low bigint CONSTRAINT messaging_conversation_pair_low_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    pair_high bigint CONSTRAINT messaging_conversation_pair_high_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    last_no bigint NOT NULL,
    member_count bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT messaging_conversation_pair_key UNIQUE (pair_low, pair_high),
    CONSTRAINT messaging_conversation_pair_check CHECK (pair_low < pair_high),
    CONSTRAINT messaging_conversation_direct_check
        CHECK (kind = 'direct' OR (pair_low IS NULL AND pair_high IS NULL)),
    CONSTRAINT messaging_conversation_last_no_check CHECK (last_no >= 0),
    CONSTRAINT messaging_conversation_member_count_check CHECK (member_count BETWEEN 0 AND 100)
);
CREATE INDEX messaging_conversation_owner_id ON messaging_conversation (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX messaging_conversation_pair_high ON messaging_conversation (pair_high) WHERE pair_high IS NOT NULL;

CREATE TABLE messaging_member (
    conversation_id bigint NOT NULL
        CONSTRAINT messaging_member_conversation_id_fkey REFERENCES messaging_conversation (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT messaging_member_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    state text NOT NULL
        CONSTRAINT messaging_member_state_check CHECK (state IN ('active', 'requested', 'left', 'removed')),
    joined_no bigint NOT NULL,
    joined_at bigint NOT NULL,
    last_read_no bigint NOT NULL,
    cleared_no bigint NOT NULL,
    unread_count bigint NOT NULL CONSTRAINT messaging_member_unread_count_check CHECK (unread_count >= 0),
    last_message_id bigint,
    is_marked_unread boolean NOT NULL,
    muted_until bigint,
    archived_at bigint,
    pinned_at bigint,
    draft text,
    CONSTRAINT messaging_member_pkey PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX messaging_member_user_id ON messaging_member (user_id);
CREATE INDEX messaging_member_inbox ON messaging_member (user_id, last_message_id)
    WHERE state = 'active' AND archived_at IS NULL AND pinned_at IS NULL;
CREATE INDEX messaging_member_archived ON messaging_member (user_id, last_message_id)
    WHERE state = 'active' AND archived_at IS NOT NULL;
CREATE INDEX messaging_member_pinned ON messaging_member (user_id, last_message_id)
    WHERE state = 'active' AND pinned_at IS NOT NULL;
CREATE INDEX messaging_member_requested ON messaging_member (user_id, last_message_id) WHERE state = 'requested';
CREATE INDEX messaging_member_unread ON messaging_member (user_id, unread_count)
    WHERE state = 'active' AND unread_count > 0;

CREATE TABLE messaging_message_type (
    id {id},
    name {key} NOT NULL CONSTRAINT messaging_message_type_name_key UNIQUE,
    is_active boolean NOT NULL
);
INSERT INTO messaging_message_type (name, is_active) VALUES
    ('text', true), ('coffee_chat', true), ('mentorship', true), ('collaboration', true), ('question', true),
    ('other', true);

CREATE TABLE messaging_message (
    id {id},
    conversation_id bigint NOT NULL
        CONSTRAINT messaging_message_conversation_id_fkey REFERENCES messaging_conversation (id) ON DELETE CASCADE,
    no bigint NOT NULL,
    sender_id bigint CONSTRAINT messaging_message_sender_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    receiver_id bigint CONSTRAINT messaging_message_receiver_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    type_id bigint NOT NULL
        CONSTRAINT messaging_message_type_id_fkey REFERENCES messaging_message_type (id) ON DELETE RESTRICT,
    content text NOT NULL,
    search_text text NOT NULL,
    is_system boolean NOT NULL,
    reply_to_id bigint
        CONSTRAINT messaging_message_reply_to_id_fkey REFERENCES messaging_message (id) ON DELETE SET NULL,
    client_id {key},
    created_at bigint NOT NULL,
    edited_at bigint,
    deleted_at bigint,
    CONSTRAINT messaging_message_conversation_id_no_key UNIQUE (conversation_id, no),
    CONSTRAINT messaging_message_sender_id_client_id_key UNIQUE (sender_id, client_id),
    CONSTRAINT messaging_message_no_check CHECK (no > 0)
);
CREATE INDEX messaging_message_receiver_id ON messaging_message (receiver_id) WHERE receiver_id IS NOT NULL;
CREATE INDEX messaging_message_type_id ON messaging_message (type_id);
CREATE INDEX messaging_message_reply_to_id ON messaging_message (reply_to_id) WHERE reply_to_id IS NOT NULL;

CREATE TABLE messaging_revision (
    id {id},
    message_id bigint NOT NULL
        CONSTRAINT messaging_revision_message_id_fkey REFERENCES messaging_message (id) ON DELETE CASCADE,
    content text NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX messaging_revision_message_id ON messaging_revision (message_id, id);

CREATE TABLE messaging_hidden (
    user_id bigint NOT NULL CONSTRAINT messaging_hidden_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    message_id bigint NOT NULL
        CONSTRAINT messaging_hidden_message_id_fkey REFERENCES messaging_message (id) ON DELETE CASCADE,
    CONSTRAINT messaging_hidden_pkey PRIMARY KEY (user_id, message_id)
);
CREATE INDEX messaging_hidden_message_id ON messaging_hidden (message_id);

CREATE TABLE messaging_reaction (
    message_id bigint NOT NULL
        CONSTRAINT messaging_reaction_message_id_fkey REFERENCES messaging_message (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT messaging_reaction_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    emoji {key} NOT NULL CONSTRAINT messaging_reaction_emoji_check CHECK (emoji <> ''),
    created_at bigint NOT NULL,
    CONSTRAINT messaging_reaction_pkey PRIMARY KEY (message_id, user_id, emoji)
);
CREATE INDEX messaging_reaction_user_id ON messaging_reaction (user_id);

CREATE TABLE messaging_block (
    id {id},
    blocker_id bigint NOT NULL CONSTRAINT messaging_block_blocker_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    blocked_id bigint NOT NULL CONSTRAINT messaging_block_blocked_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    CONSTRAINT messaging_block_blocker_id_blocked_id_key UNIQUE (blocker_id, blocked_id),
    CONSTRAINT messaging_block_self_check CHECK (blocker_id <> blocked_id)
);
CREATE INDEX messaging_block_newest ON messaging_block (blocker_id, id);
CREATE INDEX messaging_block_blocked_id ON messaging_block (blocked_id, blocker_id);

CREATE TABLE messaging_settings (
    user_id bigint NOT NULL CONSTRAINT messaging_settings_pkey PRIMARY KEY
        CONSTRAINT messaging_settings_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    accepts_requests_only boolean NOT NULL,
    sends_receipts boolean NOT NULL,
    is_discoverable boolean NOT NULL
);
