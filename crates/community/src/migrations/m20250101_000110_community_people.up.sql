ALTER TABLE community_group ADD COLUMN is_listed boolean NOT NULL DEFAULT false;
ALTER TABLE community_group ADD COLUMN max_members bigint
    CONSTRAINT community_group_max_members_check CHECK (max_members > 0);
ALTER TABLE community_group ADD COLUMN posting text NOT NULL DEFAULT 'members'
    CONSTRAINT community_group_posting_check CHECK (posting IN ('members', 'moderators'));
ALTER TABLE community_group ADD COLUMN approves_posts boolean NOT NULL DEFAULT false;
ALTER TABLE community_group ADD COLUMN members_invite boolean NOT NULL DEFAULT false;
ALTER TABLE community_group ADD COLUMN member_count bigint NOT NULL DEFAULT 0
    CONSTRAINT community_group_member_count_check CHECK (member_count >= 0);
ALTER TABLE community_group ADD COLUMN post_count bigint NOT NULL DEFAULT 0
    CONSTRAINT community_group_post_count_check CHECK (post_count >= 0);
ALTER TABLE community_group ADD COLUMN search_text text NOT NULL DEFAULT '';
ALTER TABLE community_group ADD COLUMN image_id bigint
    CONSTRAINT community_group_image_id_fkey REFERENCES files_file (id) ON DELETE SET NULL;
ALTER TABLE community_group ADD COLUMN banner_id bigint
    CONSTRAINT community_group_banner_id_fkey REFERENCES files_file (id) ON DELETE SET NULL;
UPDATE community_group SET
    member_count = (SELECT COUNT(*) FROM community_membership m WHERE m.group_id = community_group.id),
    search_text = lower(name || ' ' || description);
CREATE INDEX community_group_image_id ON community_group (image_id) WHERE image_id IS NOT NULL;
CREATE INDEX community_group_banner_id ON community_group (banner_id) WHERE banner_id IS NOT NULL;

CREATE INDEX community_membership_oldest ON community_membership (group_id, id);

CREATE TABLE community_join_request (
    id {id},
    group_id bigint NOT NULL
        CONSTRAINT community_join_request_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    user_id bigint NOT NULL
        CONSTRAINT community_join_request_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    status text NOT NULL CONSTRAINT community_join_request_status_check
        CHECK (status IN ('pending', 'approved', 'denied', 'withdrawn')),
    note text NOT NULL,
    created_at bigint NOT NULL,
    decided_by bigint
        CONSTRAINT community_join_request_decided_by_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    decided_at bigint,
    CONSTRAINT community_join_request_decided_check CHECK ((status = 'pending') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX community_join_request_pending ON community_join_request (group_id, user_id)
    WHERE status = 'pending';
CREATE INDEX community_join_request_group_id ON community_join_request (group_id, status, id);
CREATE INDEX community_join_request_user_id ON community_join_request (user_id);
CREATE INDEX community_join_request_decided_by ON community_join_request (decided_by);

CREATE TABLE community_invite (
    id {id},
    group_id bigint NOT NULL
        CONSTRAINT community_invite_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    token_hash {bytes} NOT NULL CONSTRAINT community_invite_token_hash_key UNIQUE,
    user_id bigint CONSTRAINT community_invite_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    email_key {key},
    status text NOT NULL CONSTRAINT community_invite_status_check CHECK (status IN ('pending', 'accepted', 'revoked')),
    max_uses bigint CONSTRAINT community_invite_max_uses_check CHECK (max_uses > 0),
    uses bigint NOT NULL CONSTRAINT community_invite_uses_check CHECK (uses >= 0),
    invited_by bigint CONSTRAINT community_invite_invited_by_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT community_invite_target_check CHECK (user_id IS NULL OR email_key IS NULL),
    CONSTRAINT community_invite_limit_check CHECK (max_uses IS NULL OR uses <= max_uses)
);
CREATE UNIQUE INDEX community_invite_user ON community_invite (group_id, user_id)
    WHERE status = 'pending' AND user_id IS NOT NULL;
CREATE UNIQUE INDEX community_invite_email ON community_invite (group_id, email_key)
    WHERE status = 'pending' AND email_key IS NOT NULL;
CREATE INDEX community_invite_group_id ON community_invite (group_id, id);
CREATE INDEX community_invite_user_id ON community_invite (user_id, status, id);
CREATE INDEX community_invite_invited_by ON community_invite (invited_by);
CREATE INDEX community_invite_expires_at ON community_invite (expires_at);

CREATE TABLE community_ban (
    id {id},
    group_id bigint NOT NULL CONSTRAINT community_ban_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT community_ban_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    reason text NOT NULL,
    until bigint,
    banned_by bigint CONSTRAINT community_ban_banned_by_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    created_at bigint NOT NULL,
    CONSTRAINT community_ban_group_id_user_id_key UNIQUE (group_id, user_id)
);
CREATE INDEX community_ban_newest ON community_ban (group_id, id);
CREATE INDEX community_ban_user_id ON community_ban (user_id);
CREATE INDEX community_ban_banned_by ON community_ban (banned_by);

CREATE TABLE community_follow (
    id {id},
    follower_id bigint NOT NULL CONSTRAINT community_follow_follower_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    followed_id bigint NOT NULL CONSTRAINT community_follow_followed_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    CONSTRAINT community_follow_follower_id_followed_id_key UNIQUE (follower_id, followed_id),
    CONSTRAINT community_follow_self_check CHECK (follower_id <> followed_id)
);
CREATE INDEX community_follow_followed_id ON community_follow (followed_id);
CREATE INDEX community_follow_newest ON community_follow (follower_id, id);

CREATE TABLE community_moderation (
    id {id},
    group_id bigint CONSTRAINT community_moderation_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    actor_id bigint CONSTRAINT community_moderation_actor_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    action text NOT NULL,
    subject_id bigint CONSTRAINT community_moderation_subject_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    target text NOT NULL,
    detail text NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX community_moderation_group_id ON community_moderation (group_id, id);
CREATE INDEX community_moderation_actor_id ON community_moderation (actor_id);
CREATE INDEX community_moderation_subject_id ON community_moderation (subject_id);
