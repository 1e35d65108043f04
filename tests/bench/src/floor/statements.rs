//! What the server asks the database about the community.
//!
//! Where something is read `$1` is whoever asks. Of groups `$2` is false and `$3` true; of posts `$2` is false and
//! `$3` what somebody is in a group who does not look after it.

/// What somebody is in a group.
macro_rules! own_role {
    () => {
        "(SELECT m.role FROM community_membership m WHERE m.group_id = community_group.id AND m.user_id = $1)"
    };
}

/// The columns that [`Group::read`](super::answers::Group::read) expects before the caller's role.
macro_rules! group {
    () => {
        "id, name, slug, description, category, is_private, is_listed, is_corporate_group, creator_id, max_members, \
         posting, approves_posts, members_invite, member_count, post_count, image_id, banner_id, created_at, updated_at"
    };
}

/// That the caller may know of a group.
macro_rules! known {
    () => {
        "(community_group.is_private = $2 OR community_group.is_listed = $3 \
         OR community_group.id IN (SELECT m.group_id FROM community_membership m WHERE m.user_id = $1))"
    };
}

/// Groups with what the caller is in each.
macro_rules! groups {
    () => {
        concat!("SELECT ", group!(), ", ", own_role!(), " FROM community_group WHERE ", known!())
    };
}

/// A group that the caller acts on, with all of its columns.
macro_rules! seat {
    () => {
        concat!(
            "SELECT ",
            group!(),
            ", name_key, search_text, ",
            own_role!(),
            " FROM community_group WHERE ",
            known!(),
            " AND community_group.id = $4 LIMIT 1"
        )
    };
}

/// The columns that [`Post::read`](super::answers::Post::read) expects before the caller's marks.
macro_rules! post {
    () => {
        "id, group_id, author_id, title, content, content_html, visibility, category, is_approved, is_pinned, \
         is_featured, is_locked, has_extras, comment_count, reactions, hot, created_at, updated_at"
    };
}

/// Posts with what the caller has to do with each.
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

/// That a post is in no group or in a public one.
macro_rules! outside {
    () => {
        "(community_post.group_id IS NULL OR EXISTS \
         (SELECT 1 FROM community_group g WHERE g.id = community_post.group_id AND g.is_private = $2))"
    };
}

/// That everybody may read a post.
macro_rules! open {
    () => {
        concat!("(community_post.is_approved AND community_post.visibility = 'public' AND ", outside!(), ")")
    };
}

/// That the caller may read a post.
macro_rules! visible {
    () => {
        concat!(
            "(",
            open!(),
            " OR (community_post.author_id = $1 AND ",
            outside!(),
            ") OR (EXISTS \
             (SELECT 1 FROM community_membership m WHERE m.group_id = community_post.group_id AND m.user_id = $1) \
             AND (community_post.author_id = $1 OR (community_post.visibility <> 'private' \
             AND (community_post.is_approved OR EXISTS (SELECT 1 FROM community_membership m \
             WHERE m.group_id = community_post.group_id AND m.user_id = $1 AND m.role <> $3))))))"
        )
    };
}

/// The groups that the caller is in.
macro_rules! joined {
    () => {
        "(SELECT m.group_id FROM community_membership m WHERE m.user_id = $1)"
    };
}

/// What the members of a group read in it.
macro_rules! in_group {
    () => {
        "SELECT community_post.id FROM community_post \
         WHERE community_post.is_approved AND community_post.visibility <> 'private' AND community_post.group_id"
    };
}

/// The newest posts of the caller's groups, as SQLite is asked for them.
macro_rules! gathered {
    () => {
        concat!(in_group!(), " IN ", joined!(), " ORDER BY community_post.id DESC LIMIT $4")
    };
}

/// The same as PostgreSQL is: first the groups with the newest posts, and then their posts. `$5` is 1.
macro_rules! gathered_laterally {
    () => {
        concat!(
            "SELECT \"each\".id FROM (SELECT anchor.group_id FROM ",
            joined!(),
            " AS anchor JOIN LATERAL (",
            in_group!(),
            " = anchor.group_id ORDER BY community_post.id DESC LIMIT $5) AS newest ON true \
             ORDER BY newest.id DESC LIMIT $4) AS near JOIN LATERAL (",
            in_group!(),
            " = near.group_id ORDER BY community_post.id DESC LIMIT $4) AS \"each\" ON true \
             ORDER BY \"each\".id DESC LIMIT $4"
        )
    };
}

/// All that the caller may read, newest first: what is public, what is in their groups and what is theirs.
macro_rules! home {
    ($gathered:ident) => {
        concat!(
            posts!(),
            " WHERE ",
            visible!(),
            " AND community_post.id IN (SELECT source0.id FROM (SELECT community_post.id FROM community_post WHERE ",
            open!(),
            " ORDER BY community_post.id DESC LIMIT $4) AS source0 UNION ALL SELECT source1.id FROM (",
            $gathered!(),
            ") AS source1 UNION ALL SELECT source2.id FROM (SELECT community_post.id FROM community_post WHERE ",
            visible!(),
            " AND community_post.author_id = $1 ORDER BY community_post.id DESC LIMIT $4) AS source2) \
             ORDER BY community_post.id DESC LIMIT $4"
        )
    };
}

/// The same of the caller's groups alone.
macro_rules! feed {
    ($gathered:ident) => {
        concat!(
            posts!(),
            " WHERE ",
            visible!(),
            " AND community_post.id IN (",
            $gathered!(),
            ") ORDER BY community_post.id DESC LIMIT $4"
        )
    };
}

/// A post that the caller makes something of, with all of its columns.
macro_rules! subject {
    () => {
        concat!(
            "SELECT ",
            post!(),
            ", search_text FROM community_post WHERE ",
            visible!(),
            " AND community_post.id = $4 LIMIT 1"
        )
    };
}

pub(super) const GROUPS: &str = concat!(groups!(), " ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5");
pub(super) const COUNT_GROUPS: &str =
    concat!("SELECT COUNT(*) FROM (SELECT 1 FROM community_group WHERE ", known!(), " LIMIT $4) AS listed");
pub(super) const GROUP: &str = concat!(groups!(), " AND community_group.id = $4 LIMIT 1");
pub(super) const SEAT: &str = seat!();
/// The same with the row's lock, which only PostgreSQL has.
pub(super) const LOCKED_SEAT: &str = concat!(seat!(), " FOR UPDATE");
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
/// What hangs on a group.
pub(super) const WHAT_GOES: &str = "SELECT \
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
pub(super) const GROUP_GOES: &str = "DELETE FROM community_group WHERE id = $1";
pub(super) const GROUP_WENT: &str = "INSERT INTO kernel_audit_event \
    (at, actor_id, actor_label, subject_id, subject_label, action, outcome, ip, user_agent, request_id, detail) \
    VALUES ($1, $2, $3, NULL, '', 'community.delete_group', 'done', $4, $5, $6, $7)";
/// Who looks after some groups; their ids belong behind it.
pub(super) const MODERATORS: &str = "SELECT id, group_id, user_id, role, joined_at FROM community_membership \
    WHERE community_membership.role <> 'member' AND group_id IN ";
/// The courses of some groups, as far as the caller may know of them; `$2` is true, and the ids belong
/// behind it.
pub(super) const COURSES: &str = "SELECT group_id, course_id, position FROM community_group_course \
    WHERE EXISTS (SELECT 1 FROM community_course WHERE (community_course.is_public = $2 \
    OR community_course.author_id = $1 OR EXISTS (SELECT 1 FROM community_group_course l \
    WHERE l.course_id = community_course.id AND EXISTS \
    (SELECT 1 FROM community_membership m WHERE m.group_id = l.group_id AND m.user_id = $1)) \
    OR EXISTS (SELECT 1 FROM community_enrolment e WHERE e.course_id = community_course.id AND e.user_id = $1)) \
    AND community_course.id = community_group_course.course_id) AND group_id IN ";
/// Groups with some words: as SQLite finds them, where `$5` is the words, ...
pub(super) const FOUND_GROUPS: &str = concat!(
    groups!(),
    " AND community_group.id IN (SELECT rowid FROM community_group_words WHERE community_group_words MATCH $5) \
     ORDER BY community_group.id DESC LIMIT $4"
);
/// ... and as PostgreSQL does, where the words stand in the statement.
pub(super) const FOUND_GROUPS_BY: [&str; 2] = [
    concat!(
        groups!(),
        " AND community_group.id IN (SELECT g.id FROM community_group g WHERE g.words @@ to_tsquery('simple', '"
    ),
    "') OFFSET 0) ORDER BY community_group.id DESC LIMIT $4",
];
pub(super) const HOME: &str = home!(gathered);
pub(super) const HOME_LATERALLY: &str = home!(gathered_laterally);
pub(super) const FEED: &str = feed!(gathered);
pub(super) const FEED_LATERALLY: &str = feed!(gathered_laterally);
/// What everybody may read; here `$3` is how many.
pub(super) const GLOBAL: &str = concat!(posts!(), " WHERE ", open!(), " ORDER BY community_post.id DESC LIMIT $3");
/// Posts with some words, in the same two ways.
pub(super) const FOUND_POSTS: &str = concat!(
    posts!(),
    " JOIN community_post_words ON community_post_words.rowid = community_post.id WHERE ",
    visible!(),
    " AND community_post_words MATCH $5 ORDER BY community_post_words.rowid DESC LIMIT $4"
);
pub(super) const FOUND_POSTS_BY: [&str; 2] = [
    concat!(posts!(), " WHERE ", visible!(), " AND community_post.words @@ to_tsquery('simple', '"),
    "') ORDER BY community_post.id DESC LIMIT $4",
];
/// People in the caller's groups whose names lie between `$2` and `$3`.
pub(super) const BESIDE: &str = "SELECT users.id FROM users WHERE users.username_key BETWEEN $2 AND $3 \
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
pub(super) const COUNT_POST: &str = "UPDATE community_group SET post_count = post_count + 1 WHERE id = $1";
pub(super) const SUBJECT: &str = subject!();
pub(super) const LOCKED_SUBJECT: &str = concat!(subject!(), " FOR UPDATE");
pub(super) const ROLE: &str = "SELECT role FROM community_membership WHERE group_id = $1 AND user_id = $2 LIMIT 1";
pub(super) const OWN_REACTION: &str = "SELECT post_id, user_id, kind, created_at FROM community_reaction \
    WHERE post_id = $1 AND user_id = $2 LIMIT 1";
pub(super) const NEW_REACTION: &str =
    "INSERT INTO community_reaction (post_id, user_id, kind, created_at) VALUES ($1, $2, $3, $4)";
pub(super) const OTHER_REACTION: &str = "UPDATE community_reaction SET kind = $3 WHERE post_id = $1 AND user_id = $2";
pub(super) const KEEP_COUNTS: &str = "UPDATE community_post SET reactions = $2, hot = $3 WHERE id = $1";
