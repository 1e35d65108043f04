//! Counters held against what they count. Every act keeps them in its own transaction; this finds and mends
//! what somebody has changed past the program.

use guildhall_kernel::doctor::Finding;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::SqlCommunity;
use crate::{GroupId, PostId, Result};

/// How many rows are mended in one transaction.
const CHUNK: usize = 500;

/// A number that is kept beside what it counts.
#[derive(Clone, Copy)]
struct Counter {
    table: &'static str,
    column: &'static str,
    /// What it should be, for the row of the table.
    truth: &'static str,
}

const MEMBERS: Counter = Counter {
    table: "community_group",
    column: "member_count",
    truth: "(SELECT COUNT(*) FROM community_membership x WHERE x.group_id = community_group.id)",
};
const POSTS: Counter = Counter {
    table: "community_group",
    column: "post_count",
    truth: "(SELECT COUNT(*) FROM community_post x WHERE x.group_id = community_group.id AND x.is_approved \
            AND x.visibility <> 'private')",
};
const LIKES: Counter = Counter {
    table: "community_comment",
    column: "like_count",
    truth: "(SELECT COUNT(*) FROM community_comment_like x WHERE x.comment_id = community_comment.id)",
};

const COUNTERS: &[Counter] = &[
    MEMBERS,
    POSTS,
    LIKES,
    Counter {
        table: "community_post",
        column: "comment_count",
        truth: "(SELECT COUNT(*) FROM community_comment x WHERE x.post_id = community_post.id AND NOT x.is_deleted)",
    },
    Counter {
        table: "community_comment",
        column: "reply_count",
        truth: "(SELECT COUNT(*) FROM community_comment x WHERE x.parent_id = community_comment.id)",
    },
    Counter {
        table: "community_event",
        column: "going_count",
        truth: "(SELECT COUNT(*) FROM community_rsvp x WHERE x.event_id = community_event.id AND x.status = 'going')",
    },
    Counter {
        table: "community_event",
        column: "waiting_count",
        truth: "(SELECT COUNT(*) FROM community_rsvp x WHERE x.event_id = community_event.id AND x.status = 'waiting')",
    },
    Counter {
        table: "community_course",
        column: "lesson_count",
        truth: "(SELECT COUNT(*) FROM community_lesson x WHERE x.course_id = community_course.id)",
    },
];

/// How many make what of a post, gathered from the reactions themselves.
fn reactions(backend: DbBackend) -> Counter {
    let truth = if backend == DbBackend::Sqlite {
        "(SELECT COALESCE(json_group_object(kind, n), '{}') FROM (SELECT x.kind, COUNT(*) AS n \
         FROM community_reaction x WHERE x.post_id = community_post.id GROUP BY x.kind ORDER BY x.kind) AS k)"
    } else {
        "(SELECT COALESCE(jsonb_object_agg(kind, n), '{}'::jsonb)::text FROM (SELECT x.kind, COUNT(*) AS n \
         FROM community_reaction x WHERE x.post_id = community_post.id GROUP BY x.kind) AS k)"
    };
    Counter { table: "community_post", column: "reactions", truth }
}

const VOTES: &str = "(SELECT COUNT(*) FROM community_poll_vote x \
    WHERE x.post_id = community_poll_option.post_id AND x.position = community_poll_option.position)";

impl Counter {
    fn is_wrong(&self, backend: DbBackend) -> String {
        let Self { table, column, truth } = self;
        if *column == "reactions" && backend == DbBackend::Postgres {
            // Two spellings of one object are equal.
            return format!("{table}.{column}::jsonb <> {truth}::jsonb");
        }
        format!("{table}.{column} <> {truth}")
    }

    async fn wrong(&self, conn: &impl ConnectionTrait, most: usize) -> Result<Vec<i64>, DbErr> {
        let backend = conn.get_database_backend();
        let Self { table, .. } = self;
        let sql = format!("SELECT id FROM {table} WHERE {} LIMIT {most}", self.is_wrong(backend));
        let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await?;
        let mut ids = Vec::with_capacity(rows.len());
        for row in rows {
            ids.push(row.try_get_by_index(0)?);
        }
        Ok(ids)
    }

    async fn mend(&self, conn: &impl ConnectionTrait, ids: &[i64]) -> Result<(), DbErr> {
        let Self { table, column, truth } = self;
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let sql = format!("UPDATE {table} SET {column} = {truth} WHERE id IN ({})", ids.join(", "));
        conn.execute_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
        Ok(())
    }
}

async fn recount(conn: &impl ConnectionTrait, counter: &Counter, ids: &[i64]) -> Result<(), DbErr> {
    for chunk in ids.chunks(CHUNK) {
        lock(conn, counter.table, chunk).await?;
        counter.mend(conn, chunk).await?;
    }
    Ok(())
}

/// Locks rows before what hangs on them is counted: a statement that waits for a row counts as of before.
async fn lock(conn: &impl ConnectionTrait, table: &str, ids: &[i64]) -> Result<(), DbErr> {
    if conn.get_database_backend() == DbBackend::Postgres {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let sql = format!("SELECT id FROM {table} WHERE id IN ({}) ORDER BY id FOR NO KEY UPDATE", ids.join(", "));
        conn.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    }
    Ok(())
}

/// Counts the members of these groups anew.
pub(super) async fn recount_members(conn: &impl ConnectionTrait, groups: &[GroupId]) -> Result<(), DbErr> {
    recount(conn, &MEMBERS, &groups.iter().map(|group| group.0).collect::<Vec<_>>()).await
}

/// Counts the posts of these groups anew.
pub(super) async fn recount_posts(conn: &impl ConnectionTrait, groups: &[GroupId]) -> Result<(), DbErr> {
    recount(conn, &POSTS, &groups.iter().map(|group| group.0).collect::<Vec<_>>()).await
}

/// Counts those who like these comments anew.
pub(super) async fn recount_likes(conn: &impl ConnectionTrait, comments: &[i64]) -> Result<(), DbErr> {
    recount(conn, &LIKES, comments).await
}

/// Counts the reactions to these posts anew.
pub(super) async fn recount_reactions(conn: &impl ConnectionTrait, posts: &[PostId]) -> Result<(), DbErr> {
    let reactions = reactions(conn.get_database_backend());
    recount(conn, &reactions, &posts.iter().map(|post| post.0).collect::<Vec<_>>()).await
}

/// Counts the votes of these polls anew.
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
    /// Holds every counter against what it counts; `fix` mends those that are wrong.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        let backend = self.db.backend();
        let all = COUNTERS.iter().copied().chain([reactions(backend)]);
        let mut wrong = Vec::new();
        let mut mended = true;
        for counter in all {
            let mut found = counter.wrong(self.db.conn(), CHUNK).await?;
            if found.is_empty() {
                continue;
            }
            let many = if found.len() == CHUNK { "at least " } else { "" };
            wrong.push(format!("{}.{} in {many}{} rows", counter.table, counter.column, found.len()));
            mended &= fix;
            while fix && !found.is_empty() {
                let (ids, counter_ref) = (&found, &counter);
                self.db.write(|tx| async move { recount(tx.conn(), counter_ref, ids).await }).await?;
                found = counter.wrong(self.db.conn(), CHUNK).await?;
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
            mended &= fix;
            if !fix {
                break;
            }
            let posts = &posts;
            self.db.write(|tx| async move { recount_votes(tx.conn(), posts).await }).await?;
        }
        if wrong.is_empty() {
            return Ok(vec![Finding::ok("counters", "every counter is what it counts")]);
        }
        let finding = Finding::fault("counters", format!("not what they count: {}", wrong.join(", ")));
        Ok(vec![if mended { finding.fixed() } else { finding }])
    }
}
