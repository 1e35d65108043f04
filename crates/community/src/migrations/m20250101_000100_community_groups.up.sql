CREATE TABLE community_group (
    id {id},
    name text NOT NULL CONSTRAINT community_group_name_check CHECK (name <> ''),
    name_key {key} NOT NULL,
    slug text NOT NULL CONSTRAINT community_group_slug_key UNIQUE,
    description text NOT NULL,
    category text NOT NULL,
    is_private boolean NOT NULL,
    is_corporate_group boolean NOT NULL,
    creator_id bigint CONSTRAINT community_group_creator_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX community_group_name_key ON community_group (name_key, id);
CREATE INDEX community_group_category ON community_group (category, created_at, id);
CREATE INDEX community_group_created_at ON community_group (created_at, id);
CREATE INDEX community_group_creator_id ON community_group (creator_id);

CREATE TABLE community_membership (
    id {id},
    group_id bigint NOT NULL
        CONSTRAINT community_membership_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    user_id bigint NOT NULL
        CONSTRAINT community_membership_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    role text NOT NULL CONSTRAINT community_membership_role_check CHECK (role IN ('owner', 'moderator', 'member')),
    joined_at bigint NOT NULL,
    CONSTRAINT community_membership_group_id_user_id_key UNIQUE (group_id, user_id)
);
CREATE INDEX community_membership_user_id ON community_membership (user_id, group_id);
CREATE UNIQUE INDEX community_membership_owner ON community_membership (group_id) WHERE role = 'owner';
CREATE INDEX community_membership_moderators ON community_membership (group_id, user_id) WHERE role <> 'member';
