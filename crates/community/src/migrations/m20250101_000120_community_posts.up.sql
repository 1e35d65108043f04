CREATE TABLE community_post (
    id {id},
    group_id bigint CONSTRAINT community_post_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    author_id bigint CONSTRAINT community_post_author_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    title text NOT NULL,
    content text NOT NULL,
    content_html text NOT NULL,
    visibility text NOT NULL
        CONSTRAINT community_post_visibility_check CHECK (visibility IN ('group_only', 'public', 'private')),
    category text NOT NULL CONSTRAINT community_post_category_check
        CHECK (category IN ('general', 'announcement', 'event', 'job_posting', 'resource', 'question')),
    is_approved boolean NOT NULL,
    is_pinned boolean NOT NULL,
    is_featured boolean NOT NULL,
    is_locked boolean NOT NULL,
    has_extras boolean NOT NULL,
    comment_count bigint NOT NULL CONSTRAINT community_post_comment_count_check CHECK (comment_count >= 0),
    reactions text NOT NULL,
    hot bigint NOT NULL,
    search_text text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT community_post_group_only_check CHECK (group_id IS NOT NULL OR visibility <> 'group_only')
);
CREATE INDEX community_post_group_id ON community_post (group_id, id);
CREATE INDEX community_post_in_group ON community_post (group_id, id) WHERE is_approved AND visibility <> 'private';
CREATE INDEX community_post_author_id ON community_post (author_id, id);
CREATE INDEX community_post_public ON community_post (id) WHERE is_approved AND visibility = 'public';
CREATE INDEX community_post_public_category ON community_post (category, id)
    WHERE is_approved AND visibility = 'public';
CREATE INDEX community_post_hot ON community_post (hot) WHERE is_approved AND visibility = 'public';
CREATE INDEX community_post_waiting ON community_post (group_id, id) WHERE NOT is_approved;

CREATE TABLE community_post_tag (
    post_id bigint NOT NULL CONSTRAINT community_post_tag_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    tag {key} NOT NULL,
    CONSTRAINT community_post_tag_pkey PRIMARY KEY (post_id, position),
    CONSTRAINT community_post_tag_tag_post_id_key UNIQUE (tag, post_id)
);

CREATE TABLE community_attachment (
    id {id},
    post_id bigint NOT NULL
        CONSTRAINT community_attachment_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    file_id bigint NOT NULL CONSTRAINT community_attachment_file_id_key UNIQUE
        CONSTRAINT community_attachment_file_id_fkey REFERENCES files_file (id),
    name text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    is_picture boolean NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX community_attachment_post_id ON community_attachment (post_id, id);

CREATE TABLE community_link_preview (
    post_id bigint NOT NULL
        CONSTRAINT community_link_preview_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    url text NOT NULL,
    title text,
    description text,
    site text,
    attempts bigint NOT NULL,
    next_at bigint,
    CONSTRAINT community_link_preview_pkey PRIMARY KEY (post_id, position)
);
CREATE INDEX community_link_preview_next_at ON community_link_preview (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE community_poll_option (
    post_id bigint NOT NULL
        CONSTRAINT community_poll_option_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    text text NOT NULL,
    votes bigint NOT NULL CONSTRAINT community_poll_option_votes_check CHECK (votes >= 0),
    CONSTRAINT community_poll_option_pkey PRIMARY KEY (post_id, position)
);

CREATE TABLE community_poll (
    post_id bigint NOT NULL CONSTRAINT community_poll_pkey PRIMARY KEY
        CONSTRAINT community_poll_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    is_multiple boolean NOT NULL,
    closes_at bigint
);

CREATE TABLE community_poll_vote (
    post_id bigint NOT NULL,
    position bigint NOT NULL,
    user_id bigint NOT NULL CONSTRAINT community_poll_vote_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    is_single boolean NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT community_poll_vote_pkey PRIMARY KEY (post_id, user_id, position),
    CONSTRAINT community_poll_vote_option_fkey FOREIGN KEY (post_id, position)
        REFERENCES community_poll_option (post_id, position) ON DELETE CASCADE
);
CREATE UNIQUE INDEX community_poll_vote_single ON community_poll_vote (post_id, user_id) WHERE is_single;
CREATE INDEX community_poll_vote_option ON community_poll_vote (post_id, position);
CREATE INDEX community_poll_vote_user_id ON community_poll_vote (user_id);

CREATE TABLE community_reaction (
    post_id bigint NOT NULL CONSTRAINT community_reaction_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT community_reaction_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    kind text NOT NULL CONSTRAINT community_reaction_kind_check CHECK (kind <> ''),
    created_at bigint NOT NULL,
    CONSTRAINT community_reaction_pkey PRIMARY KEY (post_id, user_id)
);
CREATE INDEX community_reaction_user_id ON community_reaction (user_id);

CREATE TABLE community_bookmark (
    id {id},
    user_id bigint NOT NULL CONSTRAINT community_bookmark_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    post_id bigint NOT NULL CONSTRAINT community_bookmark_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    CONSTRAINT community_bookmark_user_id_post_id_key UNIQUE (user_id, post_id)
);
CREATE INDEX community_bookmark_newest ON community_bookmark (user_id, id);
CREATE INDEX community_bookmark_post_id ON community_bookmark (post_id);

CREATE TABLE community_comment (
    id {id},
    post_id bigint NOT NULL CONSTRAINT community_comment_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    parent_id bigint CONSTRAINT community_comment_parent_id_fkey REFERENCES community_comment (id) ON DELETE CASCADE,
    author_id bigint CONSTRAINT community_comment_author_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    content text NOT NULL,
    content_html text NOT NULL,
    depth bigint NOT NULL CONSTRAINT community_comment_depth_check CHECK (depth BETWEEN 0 AND 8),
    reply_count bigint NOT NULL CONSTRAINT community_comment_reply_count_check CHECK (reply_count >= 0),
    like_count bigint NOT NULL CONSTRAINT community_comment_like_count_check CHECK (like_count >= 0),
    is_deleted boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX community_comment_post_id ON community_comment (post_id, id);
CREATE INDEX community_comment_parent_id ON community_comment (parent_id, id);
CREATE INDEX community_comment_author_id ON community_comment (author_id, id);

CREATE TABLE community_comment_like (
    comment_id bigint NOT NULL
        CONSTRAINT community_comment_like_comment_id_fkey REFERENCES community_comment (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT community_comment_like_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    CONSTRAINT community_comment_like_pkey PRIMARY KEY (comment_id, user_id)
);
CREATE INDEX community_comment_like_user_id ON community_comment_like (user_id);

CREATE TABLE community_mention (
    id {id},
    post_id bigint NOT NULL CONSTRAINT community_mention_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    comment_id bigint CONSTRAINT community_mention_comment_id_fkey REFERENCES community_comment (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT community_mention_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX community_mention_in_post ON community_mention (post_id, user_id) WHERE comment_id IS NULL;
CREATE UNIQUE INDEX community_mention_in_comment ON community_mention (comment_id, user_id)
    WHERE comment_id IS NOT NULL;
CREATE INDEX community_mention_post_id ON community_mention (post_id);
CREATE INDEX community_mention_user_id ON community_mention (user_id, id);

CREATE TABLE community_report (
    id {id},
    group_id bigint CONSTRAINT community_report_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    post_id bigint NOT NULL CONSTRAINT community_report_post_id_fkey REFERENCES community_post (id) ON DELETE CASCADE,
    comment_id bigint CONSTRAINT community_report_comment_id_fkey REFERENCES community_comment (id) ON DELETE CASCADE,
    reporter_id bigint CONSTRAINT community_report_reporter_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    reason text NOT NULL,
    status text NOT NULL CONSTRAINT community_report_status_check CHECK (status IN ('open', 'upheld', 'dismissed')),
    created_at bigint NOT NULL,
    decided_by bigint CONSTRAINT community_report_decided_by_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    decided_at bigint,
    CONSTRAINT community_report_decided_check CHECK ((status = 'open') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX community_report_of_post ON community_report (post_id, reporter_id)
    WHERE status = 'open' AND comment_id IS NULL;
CREATE UNIQUE INDEX community_report_of_comment ON community_report (comment_id, reporter_id)
    WHERE status = 'open' AND comment_id IS NOT NULL;
CREATE INDEX community_report_group_id ON community_report (group_id, status, id);
CREATE INDEX community_report_status ON community_report (status, id);
CREATE INDEX community_report_post_id ON community_report (post_id);
CREATE INDEX community_report_comment_id ON community_report (comment_id);
CREATE INDEX community_report_reporter_id ON community_report (reporter_id);
CREATE INDEX community_report_decided_by ON community_report (decided_by);

CREATE TABLE community_draft (
    id {id},
    author_id bigint NOT NULL CONSTRAINT community_draft_author_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    group_id bigint CONSTRAINT community_draft_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    body text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX community_draft_author_id ON community_draft (author_id, id);
CREATE INDEX community_draft_group_id ON community_draft (group_id);
