//! The server's statements for the community.
//!
//! In queries `$1` is the caller. For groups `$2` is false and `$3` true; for posts `$2` is false and `$3` the role of
//! an ordinary member.

/// The caller's role in a group.
macro_rules! own_role {
    () => {
        "(SELECT m.role FROM community_membership m WHERE m.group_id = community_group.id AND m.user_id = $1)"
    };
}

/// The columns that [`Group::read`](super::responses::Group::read) expects before the caller's role.
macro_rules! group {
    () => {
        "id, name, slug, description, category, is_private, is_listed, is_corporate_group, creator_id, max_members, \
         posting, approves_posts, members_invite, member_count, post_count, image_id, banner_id, created_at, updated_at"
    };
}

/// The condition that a group is visible to the caller.
macro_rules! visible_group {
    () => {
        "(community_group.is_private = $2 OR community_group.is_listed = $3 \
         OR community_group.id IN (SELECT m.group_id FROM community_membership m WHERE m.user_id = $1))"
    };
}

/// Groups with the caller's role.
macro_rules! groups {
    () => {
        concat!("SELECT ", group!(), ", ", own_role!(), " FROM community_group WHERE ", visible_group!())
    };
}

/// A group to be changed, with all columns.
macro_rules! group_for_write {
    () => {
        concat!(
            "SELECT ",
            group!(),
            ", name_key, search_text, ",
            own_role!(),
            " FROM community_group WHERE ",
            visible_group!(),
            " AND community_group.id = $4 LIMIT 1"
        )
    };
}

/// The columns that [`Post::read`](super::responses::Post::read) expects before the caller's reaction and bookmark.
macro_rules! post {
    () => {
        "id, group_id, author_id, title, content, content_html, visibility, category, is_approved, is_pinned, \
         is_featured, is_locked, has_extras, comment_count, reactions, hot, created_at, updated_at"
    };
}

/// Posts with the caller's reaction and bookmark.
macro_rules! posts {
    () => {
        concat!(
            "SELECT ",
            post!(),
            ", (SELECT r.kind FROM community_reaction r WHERE r.post_id = community_post.id AND r.user_id = $1), \
             (SELECT b.id FROM community_bookmark b WHERE b.post_id = community_post.id AND b.user_id = $1) \
             FROM community_post"
        )
    };
}

/// The condition that a post is in no group or in a public one.
macro_rules! no_private_group {
    () => {
        "(community_post.group_id IS NULL OR EXISTS \
         (SELECT 1 FROM community_group g WHERE g.id = community_post.group_id AND g.is_private = $2))"
    };
}

/// The condition that a post is public.
macro_rules! public_post {
    () => {
        concat!("(community_post.is_approved AND community_post.visibility = 'public' AND ", no_private_group!(), ")")
    };
}

/// The condition that a post is visible to the caller.
macro_rules! visible_post {
    () => {
        concat!(
            "(",
            public_post!(),
            " OR (community_post.author_id = $1 AND ",
            no_private_group!(),
            ") OR (EXISTS \
             (SELECT 1 FROM community_membership m WHERE m.group_id = community_post.group_id AND m.user_id = $1) \
             AND (community_post.author_id = $1 OR (community_post.visibility <> 'private' \
             AND (community_post.is_approved OR EXISTS (SELECT 1 FROM community_membership m \
             WHERE m.group_id = community_post.group_id AND m.user_id = $1 AND m.role <> $3))))))"
        )
    };
}

/// The caller's groups.
macro_rules! own_groups {
    () => {
        "(SELECT m.group_id FROM community_membership m WHERE m.user_id = $1)"
    };
}

/// The posts that the members of a group can read.
macro_rules! group_posts {
    () => {
        "SELECT community_post.id FROM community_post \
         WHERE community_post.is_approved AND community_post.visibility <> 'private' AND community_post.group_id"
    };
}

/// The newest posts of the caller's groups, on SQLite.
macro_rules! newest {
    () => {
        concat!(group_posts!(), " IN ", own_groups!(), " ORDER BY community_post.id DESC LIMIT $4")
    };
}

/// The same on PostgreSQL: first the groups with the newest posts, then their posts. `$5` is 1.
macro_rules! newest_lateral {
    () => {
        concat!(
            "SELECT \"each\".id FROM (SELECT anchor.group_id FROM ",
            own_groups!(),
            " AS anchor JOIN LATERAL (",
            group_posts!(),
            " = anchor.group_id ORDER BY community_post.id DESC LIMIT $5) AS newest ON true \
             ORDER BY newest.id DESC LIMIT $4) AS near JOIN LATERAL (",
            group_posts!(),
            " = near.group_id ORDER BY community_post.id DESC LIMIT $4) AS \"each\" ON true \
             ORDER BY \"each\".id DESC LIMIT $4"
        )
    };
}

/// All posts visible to the caller, newest first: public ones, those of their groups, and their own.
macro_rules! home {
    ($newest:ident) => {
        concat!(
            posts!(),
            " WHERE ",
            visible_post!(),
            " AND community_post.id IN (SELECT source0.id FROM (SELECT community_post.id FROM community_post WHERE ",
            public_post!(),
            " ORDER BY community_post.id DESC LIMIT $4) AS source0 UNION ALL SELECT source1.id FROM (",
            $newest!(),
            ") AS source1 UNION ALL SELECT source2.id FROM (SELECT community_post.id FROM community_post WHERE ",
            visible_post!(),
            " AND community_post.author_id = $1 ORDER BY community_post.id DESC LIMIT $4) AS source2) \
             ORDER BY community_post.id DESC LIMIT $4"
        )
    };
}

/// The same for the caller's groups only.
macro_rules! feed {
    ($newest:ident) => {
        concat!(
            posts!(),
            " WHERE ",
            visible_post!(),
            " AND community_post.id IN (",
            $newest!(),
            ") ORDER BY community_post.id DESC LIMIT $4"
        )
    };
}

/// A post to be reacted to, with all columns.
macro_rules! post_for_write {
    () => {
        concat!(
            "SELECT ",
            post!(),
            ", search_text FROM community_post WHERE ",
            visible_post!(),
            " AND community_post.id = $4 LIMIT 1"
        )
    };
}

pub(super) const GROUPS: &str = concat!(groups!(), " ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5");
pub(super) const COUNT_GROUPS: &str =
    concat!("SELECT COUNT(*) FROM (SELECT 1 FROM community_group WHERE ", visible_group!(), " LIMIT $4) AS listed");
pub(super) const GROUP: &str = concat!(groups!(), " AND community_group.id = $4 LIMIT 1");
pub(super) const GROUP_FOR_WRITE: &str = group_for_write!();
/// The same with a row lock, on PostgreSQL only.
pub(super) const GROUP_FOR_UPDATE: &str = concat!(group_for_write!(), " FOR UPDATE");
pub(super) const NEW_GROUP: &str = concat!(
    "INSERT INTO community_group (name, name_key, slug, description, category, is_private, is_listed, \
     is_corporate_group, creator_id, max_members, posting, approves_posts, members_invite, member_count, post_count, \
     search_text, image_id, banner_id, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, 'general', false, false, false, $5, NULL, 'members', false, false, 1, 0, $6, NULL, NULL, \
     $7, $7) RETURNING ",
    group!(),
    ", 'owner', name_key, search_text"
);
pub(super) const NEW_OWNER: &str = "INSERT INTO community_membership (group_id, user_id, role, joined_at) \
    VALUES ($1, $2, 'owner', $3) RETURNING id, group_id, user_id, role, joined_at";
/// Counts the rows that are deleted with a group.
pub(super) const COUNT_GROUP_CONTENTS: &str = "SELECT \
    (SELECT COUNT(*) FROM community_membership WHERE group_id = $1), \
    (SELECT COUNT(*) FROM community_membership WHERE group_id = $1 AND role <> 'member'), \
    (SELECT COUNT(*) FROM community_join_request WHERE group_id = $1), \
    (SELECT COUNT(*) FROM community_invite WHERE group_id = $1), \
    (SELECT COUNT(*) FROM community_ban WHERE group_id = $1), \
    (SELECT COUNT(*) FROM community_post WHERE group_id = $1), \
    (SELECT COUNT(*) FROM community_comment c JOIN community_post p ON p.id = c.post_id WHERE p.group_id = $1), \
    (SELECT COUNT(*) FROM community_reaction r JOIN community_post p ON p.id = r.post_id WHERE p.group_id = $1), \
    (SELECT COUNT(*) FROM community_attachment a JOIN community_post p ON p.id = a.post_id WHERE p.group_id = $1), \
    (SELECT COUNT(image_id) + COUNT(banner_id) FROM community_group WHERE id = $1), \
    (SELECT COUNT(*) FROM community_group_course WHERE group_id = $1), \
    (SELECT COUNT(*) FROM community_event WHERE group_id = $1), \
    (SELECT COUNT(*) FROM community_report WHERE group_id = $1)";
pub(super) const DELETE_GROUP: &str = "DELETE FROM community_group WHERE id = $1";
pub(super) const AUDIT_GROUP_DELETED: &str = "INSERT INTO kernel_audit_event \
    (at, actor_id, actor_label, subject_id, subject_label, action, outcome, ip, user_agent, request_id, detail) \
    VALUES ($1, $2, $3, NULL, '', 'community.delete_group', 'done', $4, $5, $6, $7)";
/// The moderators of groups; the list of ids is appended.
pub(super) const MODERATORS: &str = "SELECT id, group_id, user_id, role, joined_at FROM community_membership \
    WHERE community_membership.role <> 'member' AND group_id IN ";
/// The courses of groups that are visible to the caller; `$2` is true, and the list of ids is appended.
pub(super) const COURSES: &str = "SELECT group_id, course_id, position FROM community_group_course \
    WHERE EXISTS (SELECT 1 FROM community_course WHERE (community_course.is_public = $2 \
    OR community_course.author_id = $1 OR EXISTS (SELECT 1 FROM community_group_course l \
    WHERE l.course_id = community_course.id AND EXISTS \
    (SELECT 1 FROM community_membership m WHERE m.group_id = l.group_id AND m.user_id = $1)) \
    OR EXISTS (SELECT 1 FROM community_enrolment e WHERE e.course_id = community_course.id AND e.user_id = $1)) \
    AND community_course.id = community_group_course.course_id) AND group_id IN ";
/// Full-text search for groups on SQLite; `$5` is the query.
pub(super) const SEARCH_GROUPS: &str = concat!(
    groups!(),
    " AND community_group.id IN (SELECT rowid FROM community_group_words WHERE community_group_words MATCH $5) \
     ORDER BY community_group.id DESC LIMIT $4"
);
/// The same on PostgreSQL; the query is inserted between the two parts.
pub(super) const SEARCH_GROUPS_POSTGRES: [&str; 2] = [
    concat!(
        groups!(),
        " AND community_group.id IN (SELECT g.id FROM community_group g WHERE g.words @@ to_tsquery('simple', '"
    ),
    "') OFFSET 0) ORDER BY community_group.id DESC LIMIT $4",
];
pub(super) const HOME: &str = home!(newest);
pub(super) const HOME_LATERAL: &str = home!(newest_lateral);
pub(super) const FEED: &str = feed!(newest);
pub(super) const FEED_LATERAL: &str = feed!(newest_lateral);
/// Public posts; `$3` is the limit.
pub(super) const GLOBAL: &str =
    concat!(posts!(), " WHERE ", public_post!(), " ORDER BY community_post.id DESC LIMIT $3");
/// Full-text search for posts, in the same two variants.
pub(super) const SEARCH_POSTS: &str = concat!(
    posts!(),
    " JOIN community_post_words ON community_post_words.rowid = community_post.id WHERE ",
    visible_post!(),
    " AND community_post_words MATCH $5 ORDER BY community_post_words.rowid DESC LIMIT $4"
);
pub(super) const SEARCH_POSTS_POSTGRES: [&str; 2] = [
    concat!(posts!(), " WHERE ", visible_post!(), " AND community_post.words @@ to_tsquery('simple', '"),
    "') ORDER BY community_post.id DESC LIMIT $4",
];
/// Members of the caller's groups whose names are between `$2` and `$3`.
pub(super) const MEMBERS_BY_NAME: &str = "SELECT users.id FROM users WHERE users.username_key BETWEEN $2 AND $3 \
    AND EXISTS (SELECT 1 FROM community_membership AS theirs \
    JOIN community_membership AS own ON own.group_id = theirs.group_id \
    WHERE theirs.user_id = users.id AND own.user_id = $1) ORDER BY users.username_key LIMIT $4";
pub(super) const NEW_POST: &str = concat!(
    "INSERT INTO community_post (group_id, author_id, title, content, content_html, visibility, category, \
     is_approved, is_pinned, is_featured, is_locked, has_extras, comment_count, reactions, hot, search_text, \
     created_at, updated_at) \
     VALUES ($1, $2, '', $3, $4, 'group_only', 'general', true, false, false, false, false, 0, '{}', $5, $6, $5, $5) \
     RETURNING ",
    post!(),
    ", NULL, CAST(NULL AS bigint), search_text"
);
pub(super) const INCREMENT_POST_COUNT: &str = "UPDATE community_group SET post_count = post_count + 1 WHERE id = $1";
pub(super) const POST_FOR_WRITE: &str = post_for_write!();
pub(super) const POST_FOR_UPDATE: &str = concat!(post_for_write!(), " FOR UPDATE");
pub(super) const ROLE: &str = "SELECT role FROM community_membership WHERE group_id = $1 AND user_id = $2 LIMIT 1";
pub(super) const OWN_REACTION: &str = "SELECT post_id, user_id, kind, created_at FROM community_reaction \
    WHERE post_id = $1 AND user_id = $2 LIMIT 1";
pub(super) const NEW_REACTION: &str =
    "INSERT INTO community_reaction (post_id, user_id, kind, created_at) VALUES ($1, $2, $3, $4)";
pub(super) const CHANGE_REACTION: &str = "UPDATE community_reaction SET kind = $3 WHERE post_id = $1 AND user_id = $2";
pub(super) const STORE_REACTION_COUNTS: &str = "UPDATE community_post SET reactions = $2, hot = $3 WHERE id = $1";
