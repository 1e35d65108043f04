//! Checks and repairs counters. Every operation updates them in its own transaction; they can only be wrong if
//! somebody has changed the database by other means.

use guildhall_kernel::{
    db::{self, Sql},
    doctor::Finding,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IdenStatic, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::{Core, scope::all_posts};
use crate::{
    entity::{comment, course, event, group, poll_option, post},
    error::Result,
    id::{CommentId, GroupId, PostId},
};

/// How many rows are repaired in one transaction.
const CHUNK: usize = 500;
/// The number of rows of a query that finds the rows of one transaction.
const LIMIT: u64 = CHUNK as u64;

/// A stored count.
struct Counter<E: EntityTrait> {
    id: E::Column,
    column: E::Column,
    /// SQL that computes the right value for a row of the table.
    computed: Sql,
    /// The type in which values are compared.
    value_type: Sql,
}

const NUMBER: Sql = Sql::new("bigint");
/// The same JSON object can be written in several ways. On SQLite the program and the query write it alike.
const JSON: Sql = Sql::per_backend("text", "jsonb");

const MEMBERS: Counter<group::Entity> = Counter {
    id: group::Column::Id,
    column: group::Column::MemberCount,
    computed: Sql::new("(SELECT COUNT(*) FROM community_membership x WHERE x.group_id = community_group.id)"),
    value_type: NUMBER,
};
const POSTS: Counter<group::Entity> = Counter {
    id: group::Column::Id,
    column: group::Column::PostCount,
    computed: Sql::new(
        "(SELECT COUNT(*) FROM community_post x WHERE x.group_id = community_group.id AND x.is_approved \
         AND x.visibility <> 'private')",
    ),
    value_type: NUMBER,
};
const LIKES: Counter<comment::Entity> = Counter {
    id: comment::Column::Id,
    column: comment::Column::LikeCount,
    computed: Sql::new("(SELECT COUNT(*) FROM community_comment_like x WHERE x.comment_id = community_comment.id)"),
    value_type: NUMBER,
};
const REPLIES: Counter<comment::Entity> = Counter {
    id: comment::Column::Id,
    column: comment::Column::ReplyCount,
    computed: Sql::new("(SELECT COUNT(*) FROM community_comment x WHERE x.parent_id = community_comment.id)"),
    value_type: NUMBER,
};
const COMMENTS: Counter<post::Entity> = Counter {
    id: post::Column::Id,
    column: post::Column::CommentCount,
    computed: Sql::new(
        "(SELECT COUNT(*) FROM community_comment x WHERE x.post_id = community_post.id AND NOT x.is_deleted)",
    ),
    value_type: NUMBER,
};
const REACTIONS: Counter<post::Entity> = Counter {
    id: post::Column::Id,
    column: post::Column::Reactions,
    computed: Sql::per_backend(
        "(SELECT COALESCE(json_group_object(kind, n), '{}') FROM (SELECT x.kind, COUNT(*) AS n \
         FROM community_reaction x WHERE x.post_id = community_post.id GROUP BY x.kind ORDER BY x.kind) AS k)",
        "(SELECT COALESCE(jsonb_object_agg(kind, n), '{}'::jsonb)::text FROM (SELECT x.kind, COUNT(*) AS n \
         FROM community_reaction x WHERE x.post_id = community_post.id GROUP BY x.kind) AS k)",
    ),
    value_type: JSON,
};
const GOING: Counter<event::Entity> = Counter {
    id: event::Column::Id,
    column: event::Column::GoingCount,
    computed: Sql::new(
        "(SELECT COUNT(*) FROM community_rsvp x WHERE x.event_id = community_event.id AND x.status = 'going')",
    ),
    value_type: NUMBER,
};
const WAITING: Counter<event::Entity> = Counter {
    id: event::Column::Id,
    column: event::Column::WaitingCount,
    computed: Sql::new(
        "(SELECT COUNT(*) FROM community_rsvp x WHERE x.event_id = community_event.id AND x.status = 'waiting')",
    ),
    value_type: NUMBER,
};
const LESSONS: Counter<course::Entity> = Counter {
    id: course::Column::Id,
    column: course::Column::LessonCount,
    computed: Sql::new("(SELECT COUNT(*) FROM community_lesson x WHERE x.course_id = community_course.id)"),
    value_type: NUMBER,
};

/// The votes for an option of a poll.
const VOTES: &str = "(SELECT COUNT(*) FROM community_poll_vote x \
    WHERE x.post_id = community_poll_option.post_id AND x.position = community_poll_option.position)";

impl<E: EntityTrait> Counter<E> {
    fn computed(&self, conn: &impl ConnectionTrait) -> Expr {
        Expr::cust(self.computed.text(conn.get_database_backend()))
    }

    /// The ids of some rows whose count is wrong.
    async fn find_wrong(&self, conn: &impl ConnectionTrait) -> Result<Vec<i64>, DbErr> {
        let value_type = self.value_type.text(conn.get_database_backend());
        let stored = Expr::col((E::default(), self.column)).cast_as(value_type);
        let rows = E::find()
            .select_only()
            .column(self.id)
            .filter(stored.ne(self.computed(conn).cast_as(value_type)))
            .limit(LIMIT);
        rows.into_tuple().all(conn).await
    }

    /// Recomputes the counts of these rows.
    async fn recount(&self, conn: &impl ConnectionTrait, ids: &[i64]) -> Result<(), DbErr> {
        for chunk in ids.chunks(CHUNK) {
            let in_chunk = self.id.is_in(chunk.iter().copied());
            let rows = E::find().filter(in_chunk.clone()).order_by_asc(self.id);
            db::lock_rows(conn, || rows, LockType::NoKeyUpdate).await?;
            E::update_many().col_expr(self.column, self.computed(conn)).filter(in_chunk).exec(conn).await?;
        }
        Ok(())
    }
}

/// Recomputes the member counts of these groups.
pub(crate) async fn recount_members(conn: &impl ConnectionTrait, groups: &[GroupId]) -> Result<(), DbErr> {
    MEMBERS.recount(conn, &groups.iter().map(|group| group.0).collect::<Vec<_>>()).await
}

/// Recomputes the post counts of these groups.
pub(crate) async fn recount_posts(conn: &impl ConnectionTrait, groups: &[GroupId]) -> Result<(), DbErr> {
    POSTS.recount(conn, &groups.iter().map(|group| group.0).collect::<Vec<_>>()).await
}

/// Recomputes the like counts of these comments.
pub(crate) async fn recount_likes(conn: &impl ConnectionTrait, comments: &[CommentId]) -> Result<(), DbErr> {
    LIKES.recount(conn, &comments.iter().map(|comment| comment.0).collect::<Vec<_>>()).await
}

/// Recomputes the reaction counts of these posts.
pub(crate) async fn recount_reactions(conn: &impl ConnectionTrait, posts: &[PostId]) -> Result<(), DbErr> {
    REACTIONS.recount(conn, &posts.iter().map(|post| post.0).collect::<Vec<_>>()).await
}

/// Recomputes the vote counts of the polls of these posts.
pub(crate) async fn recount_votes(conn: &impl ConnectionTrait, posts: &[PostId]) -> Result<(), DbErr> {
    for chunk in posts.chunks(CHUNK) {
        let rows = all_posts().filter(post::COLUMN.id.is_in(chunk.iter().copied())).order_by_asc(post::Column::Id);
        db::lock_rows(conn, || rows, LockType::NoKeyUpdate).await?;
        poll_option::Entity::update_many()
            .col_expr(poll_option::Column::Votes, Expr::cust(VOTES))
            .filter(poll_option::COLUMN.post_id.is_in(chunk.iter().copied()))
            .exec(conn)
            .await?;
    }
    Ok(())
}

/// Some posts with wrong vote counts.
async fn find_wrong_votes(conn: &impl ConnectionTrait) -> Result<Vec<PostId>, DbErr> {
    let votes = Expr::col((poll_option::Entity, poll_option::Column::Votes));
    let posts = poll_option::Entity::find()
        .select_only()
        .distinct()
        .column(poll_option::Column::PostId)
        .filter(votes.ne(Expr::cust(VOTES)))
        .limit(LIMIT);
    posts.into_tuple().all(conn).await
}

/// The counters that are wrong.
struct Examination<'a> {
    core: &'a Core,
    fix: bool,
    wrong: Vec<String>,
}

impl Examination<'_> {
    async fn counter<E: EntityTrait>(&mut self, counter: &Counter<E>) -> Result<(), DbErr> {
        let mut found = counter.find_wrong(self.core.db.conn()).await?;
        if found.is_empty() {
            return Ok(());
        }
        let (table, column) = (E::default().table_name().to_owned(), counter.column.as_str());
        let at_least = if found.len() == CHUNK { "at least " } else { "" };
        self.wrong.push(format!("{table}.{column} in {at_least}{} rows", found.len()));
        while self.fix && !found.is_empty() {
            let ids = &found;
            self.core.write(|tx| async move { counter.recount(&tx, ids).await }).await?;
            found = counter.find_wrong(self.core.db.conn()).await?;
        }
        Ok(())
    }

    async fn votes(&mut self) -> Result<(), DbErr> {
        loop {
            let posts = find_wrong_votes(self.core.db.conn()).await?;
            if posts.is_empty() {
                return Ok(());
            }
            self.wrong.push(format!("community_poll_option.votes of {} polls", posts.len()));
            if !self.fix {
                return Ok(());
            }
            let posts = &posts;
            self.core.write(|tx| async move { recount_votes(&tx, posts).await }).await?;
        }
    }
}

impl Core {
    /// Checks every counter; with `fix`, repairs those that are wrong.
    pub(crate) async fn examine_counters(&self, fix: bool) -> Result<Vec<Finding>> {
        let mut examination = Examination { core: self, fix, wrong: Vec::new() };
        examination.counter(&MEMBERS).await?;
        examination.counter(&POSTS).await?;
        examination.counter(&LIKES).await?;
        examination.counter(&COMMENTS).await?;
        examination.counter(&REPLIES).await?;
        examination.counter(&GOING).await?;
        examination.counter(&WAITING).await?;
        examination.counter(&LESSONS).await?;
        examination.counter(&REACTIONS).await?;
        examination.votes().await?;
        let wrong = examination.wrong;
        if wrong.is_empty() {
            return Ok(vec![Finding::ok("counters", "all counters are correct")]);
        }
        let finding = Finding::error("counters", format!("wrong counters: {}", wrong.join(", ")));
        Ok(vec![if fix { finding.fixed() } else { finding }])
    }
}
