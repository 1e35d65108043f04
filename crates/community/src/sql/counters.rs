//! Checks and repairs counters. Every operation updates them in its own transaction; they can only be wrong if
//! somebody has changed the database by other means.

use guildhall_kernel::doctor::Finding;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::SqlCommunity;
use crate::{GroupId, PostId, Result};

/// How many rows are repaired in one transaction.
const CHUNK: usize = 500;

/// A stored count.
#[derive(Clone, Copy)]
struct Counter {
    table: &'static str,
    column: &'static str,
    /// SQL that computes the right value for a row of the table.
    computed: &'static str,
}

const MEMBERS: Counter = Counter {
    table: "community_group",
    column: "member_count",
    computed: "(SELECT COUNT(*) FROM community_membership x WHERE x.group_id = community_group.id)",
};
const POSTS: Counter = Counter {
    table: "community_group",
    column: "post_count",
    computed: "(SELECT COUNT(*) FROM community_post x WHERE x.group_id = community_group.id AND x.is_approved \
            AND x.visibility <> 'private')",
};
const LIKES: Counter = Counter {
    table: "community_comment",
    column: "like_count",
    computed: "(SELECT COUNT(*) FROM community_comment_like x WHERE x.comment_id = community_comment.id)",
};

const COUNTERS: &[Counter] = &[
    MEMBERS,
    POSTS,
    LIKES,
    Counter {
        table: "community_post",
        column: "comment_count",
        computed: "(SELECT COUNT(*) FROM community_comment x WHERE x.post_id = community_post.id AND NOT x.is_deleted)",
    },
    Counter {
        table: "community_comment",
        column: "reply_count",
        computed: "(SELECT COUNT(*) FROM community_comment x WHERE x.parent_id = community_comment.id)",
    },
    Counter {
        table: "community_event",
        column: "going_count",
        computed: "(SELECT COUNT(*) FROM community_rsvp x WHERE x.event_id = community_event.id AND x.status = 'going')",
    },
    Counter {
        table: "community_event",
        column: "waiting_count",
        computed: "(SELECT COUNT(*) FROM community_rsvp x WHERE x.event_id = community_event.id AND x.status = 'waiting')",
    },
    Counter {
        table: "community_course",
        column: "lesson_count",
        computed: "(SELECT COUNT(*) FROM community_lesson x WHERE x.course_id = community_course.id)",
    },
];

/// The reaction counts of a post, computed from the reactions.
fn reaction_counter(backend: DbBackend) -> Counter {
    let computed = if backend == DbBackend::Sqlite {
        "(SELECT COALESCE(json_group_object(kind, n), '{}') FROM (SELECT x.kind, COUNT(*) AS n \
         FROM community_reaction x WHERE x.post_id = community_post.id GROUP BY x.kind ORDER BY x.kind) AS k)"
    } else {
        "(SELECT COALESCE(jsonb_object_agg(kind, n), '{}'::jsonb)::text FROM (SELECT x.kind, COUNT(*) AS n \
         FROM community_reaction x WHERE x.post_id = community_post.id GROUP BY x.kind) AS k)"
    };
    Counter { table: "community_post", column: "reactions", computed }
}

const VOTES: &str = "(SELECT COUNT(*) FROM community_poll_vote x \
    WHERE x.post_id = community_poll_option.post_id AND x.position = community_poll_option.position)";

impl Counter {
    fn is_wrong(&self, backend: DbBackend) -> String {
        let Self { table, column, computed } = self;
        if *column == "reactions" && backend == DbBackend::Postgres {
            // The same JSON object can be written in several ways.
            return format!("{table}.{column}::jsonb <> {computed}::jsonb");
        }
        format!("{table}.{column} <> {computed}")
    }

    async fn find_wrong(&self, conn: &impl ConnectionTrait, limit: usize) -> Result<Vec<i64>, DbErr> {
        let backend = conn.get_database_backend();
        let Self { table, .. } = self;
        let sql = format!("SELECT id FROM {table} WHERE {} LIMIT {limit}", self.is_wrong(backend));
        let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await?;
        let mut ids = Vec::with_capacity(rows.len());
        for row in rows {
            ids.push(row.try_get_by_index(0)?);
        }
        Ok(ids)
    }

    async fn repair(&self, conn: &impl ConnectionTrait, ids: &[i64]) -> Result<(), DbErr> {
        let Self { table, column, computed } = self;
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let sql = format!("UPDATE {table} SET {column} = {computed} WHERE id IN ({})", ids.join(", "));
        conn.execute_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
        Ok(())
    }
}

async fn recount(conn: &impl ConnectionTrait, counter: &Counter, ids: &[i64]) -> Result<(), DbErr> {
    for chunk in ids.chunks(CHUNK) {
        lock(conn, counter.table, chunk).await?;
        counter.repair(conn, chunk).await?;
    }
    Ok(())
}

/// Locks rows before their counts are computed. This needs a statement of its own: on PostgreSQL, a statement that
/// waits for a lock does not see other rows that were committed meanwhile.
async fn lock(conn: &impl ConnectionTrait, table: &str, ids: &[i64]) -> Result<(), DbErr> {
    if conn.get_database_backend() == DbBackend::Postgres {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let sql = format!("SELECT id FROM {table} WHERE id IN ({}) ORDER BY id FOR NO KEY UPDATE", ids.join(", "));
        conn.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    }
    Ok(())
}

/// Recomputes the member counts of these groups.
pub(super) async fn recount_members(conn: &impl ConnectionTrait, groups: &[GroupId]) -> Result<(), DbErr> {
    recount(conn, &MEMBERS, &groups.iter().map(|group| group.0).collect::<Vec<_>>()).await
}

/// Recomputes the post counts of these groups.
pub(super) async fn recount_posts(conn: &impl ConnectionTrait, groups: &[GroupId]) -> Result<(), DbErr> {
    recount(conn, &POSTS, &groups.iter().map(|group| group.0).collect::<Vec<_>>()).await
}

/// Recomputes the like counts of these comments.
pub(super) async fn recount_likes(conn: &impl ConnectionTrait, comments: &[i64]) -> Result<(), DbErr> {
    recount(conn, &LIKES, comments).await
}

/// Recomputes the reaction counts of these posts.
pub(super) async fn recount_reactions(conn: &impl ConnectionTrait, posts: &[PostId]) -> Result<(), DbErr> {
    let counter = reaction_counter(conn.get_database_backend());
    recount(conn, &counter, &posts.iter().map(|post| post.0).collect::<Vec<_>>()).await
}

/// Recomputes the vote counts of these polls.
pub(super) async fn recount_votes(conn: &impl ConnectionTrait, posts: &[PostId]) -> Result<(), DbErr> {
    for chunk in posts.chunks(CHUNK) {
        lock(conn, "community_post", &chunk.iter().map(|post| post.0).collect::<Vec<_>>()).await?;
        let ids: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        let sql = format!("UPDATE community_poll_option SET votes = {VOTES} WHERE post_id IN ({})", ids.join(", "));
        conn.execute_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    }
    Ok(())
}

impl SqlCommunity {
    /// Checks every counter; with `fix`, repairs those that are wrong.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        let backend = self.db.backend();
        let all = COUNTERS.iter().copied().chain([reaction_counter(backend)]);
        let mut wrong = Vec::new();
        let mut repaired = true;
        for counter in all {
            let mut found = counter.find_wrong(self.db.conn(), CHUNK).await?;
            if found.is_empty() {
                continue;
            }
            let at_least = if found.len() == CHUNK { "at least " } else { "" };
            wrong.push(format!("{}.{} in {at_least}{} rows", counter.table, counter.column, found.len()));
            repaired &= fix;
            while fix && !found.is_empty() {
                let (ids, counter_ref) = (&found, &counter);
                self.db.write(|tx| async move { recount(&tx, counter_ref, ids).await }).await?;
                found = counter.find_wrong(self.db.conn(), CHUNK).await?;
            }
        }
        let votes = format!("SELECT DISTINCT post_id FROM community_poll_option WHERE votes <> {VOTES} LIMIT {CHUNK}");
        loop {
            let rows = self.db.conn().query_all_raw(Statement::from_string(backend, votes.clone())).await?;
            let mut posts = Vec::new();
            for row in rows {
                posts.push(PostId(row.try_get_by_index(0)?));
            }
            if posts.is_empty() {
                break;
            }
            wrong.push(format!("community_poll_option.votes of {} polls", posts.len()));
            repaired &= fix;
            if !fix {
                break;
            }
            let posts = &posts;
            self.db.write(|tx| async move { recount_votes(&tx, posts).await }).await?;
        }
        if wrong.is_empty() {
            return Ok(vec![Finding::ok("counters", "all counters are correct")]);
        }
        let finding = Finding::error("counters", format!("wrong counters: {}", wrong.join(", ")));
        Ok(vec![if repaired { finding.fixed() } else { finding }])
    }
}
