//! What moderators decide: reports, and posts that wait to be let through.

use garde::Validate;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, Condition, DerivePartialModel, EntityTrait, QueryFilter, QuerySelect, Set,
    sea_query::Expr,
};

use super::{
    Moderated, Seat, SqlCommunity,
    posts::{count_posts, counts, lock_group_of},
    scope::{Viewer, visible_posts},
};
use crate::{
    CommentId, Error, GroupId, NewReport, Post, PostId, Report, ReportId, ReportStatus, Result, Verdict,
    entity::{post, report},
};

#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "report::Entity")]
struct ReportRow {
    id: ReportId,
    group_id: Option<GroupId>,
    post_id: PostId,
    comment_id: Option<CommentId>,
    reporter_id: Option<UserId>,
    reason: String,
    status: ReportStatus,
    created_at: Timestamp,
    decided_at: Option<Timestamp>,
}

/// The open reports of a post, or of a comment on it.
fn open_about(post: PostId, comment: Option<CommentId>) -> Condition {
    let about = Condition::all().add(report::COLUMN.post_id.eq(post)).add(Expr::cust("status = 'open'"));
    match comment {
        Some(comment) => about.add(report::COLUMN.comment_id.eq(comment)),
        None => about.add(report::COLUMN.comment_id.is_null()),
    }
}

impl SqlCommunity {
    pub(super) async fn report(
        &self,
        caller: &Caller,
        id: PostId,
        comment: Option<CommentId>,
        new: NewReport,
    ) -> Result<Report> {
        new.validate()?;
        let new = &new;
        let row = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                // Locked, so that of two reports of one person at once the second finds the first.
                let post =
                    visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
                let post = post.ok_or(Error::PostNotFound(id))?;
                let own = open_about(id, comment).add(report::COLUMN.reporter_id.eq(caller.user));
                if let Some(known) =
                    report::Entity::find().filter(own).into_partial_model::<ReportRow>().one(conn).await?
                {
                    return Ok(known);
                }
                let row = report::ActiveModel {
                    id: NotSet,
                    group_id: Set(post.group_id),
                    post_id: Set(id),
                    comment_id: Set(comment),
                    reporter_id: Set(Some(caller.user)),
                    reason: Set(new.reason.trim().to_owned()),
                    status: Set(ReportStatus::Open),
                    created_at: Set(self.host.clock.now()),
                    decided_by: Set(None),
                    decided_at: Set(None),
                };
                let made = row.insert(conn).await?.id;
                let stored = report::Entity::find_by_id(made).into_partial_model::<ReportRow>().one(conn).await?;
                stored.ok_or(Error::NotFound("report"))
            })
            .await?;
        self.show_reports(vec![row]).await?.pop().ok_or(Error::NotFound("report"))
    }

    pub(super) async fn list_reports(
        &self,
        caller: &Caller,
        group: Option<GroupId>,
        page: PageQuery,
    ) -> Result<Page<Report>> {
        let conn = self.db.conn();
        let mut select = report::Entity::find().filter(report::COLUMN.status.eq(ReportStatus::Open));
        match group {
            Some(group) => {
                Seat::look(conn, caller, group).await?.moderator()?;
                select = select.filter(report::COLUMN.group_id.eq(group));
            }
            None if !caller.roles.is_staff() => return Err(Error::NotStaff),
            None => {}
        }
        let ordering = Ordering { fields: &[("id", report::Column::Id)], usual: "id", id: report::Column::Id };
        let (rows, page) = Page::<ReportRow>::fetch(select, &ordering, &page, conn).await?.take();
        let reports = self.show_reports(rows).await?;
        Ok(page.with(|_| reports))
    }

    async fn show_reports(&self, rows: Vec<ReportRow>) -> Result<Vec<Report>> {
        let people = self.people(rows.iter().filter_map(|row| row.reporter_id)).await?;
        let show = |row: ReportRow| Report {
            id: row.id,
            group: row.group_id,
            post: row.post_id,
            comment: row.comment_id,
            reporter: row.reporter_id.and_then(|id| people.get(&id)).cloned(),
            reason: row.reason,
            status: row.status,
            created_at: row.created_at,
            decided_at: row.decided_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    pub(super) async fn settle_report(&self, caller: &Caller, id: ReportId, verdict: Verdict) -> Result<()> {
        let missing = || Error::NotFound("report");
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let found = report::Entity::find_by_id(id).one(conn).await?.ok_or_else(missing)?;
                match found.group_id {
                    // Only those who decide know that somebody has reported something.
                    Some(group) => match Seat::take(conn, caller, group).await {
                        Ok(seat) if seat.is_moderator() => {}
                        Ok(_) | Err(Error::GroupNotFound(_)) => return Err(missing()),
                        Err(error) => return Err(error),
                    },
                    None if !caller.roles.is_staff() => return Err(missing()),
                    None => {}
                }
                let post = post::Entity::find_by_id(found.post_id).lock_exclusive().one(conn).await?;
                let post = post.ok_or_else(missing)?;
                let status = if verdict == Verdict::Dismiss { ReportStatus::Dismissed } else { ReportStatus::Upheld };
                let settled = report::Entity::update_many()
                    .col_expr(report::Column::Status, Expr::value(status))
                    .col_expr(report::Column::DecidedBy, Expr::value(Some(caller.user)))
                    .col_expr(report::Column::DecidedAt, Expr::value(Some(self.host.clock.now())))
                    .filter(open_about(found.post_id, found.comment_id))
                    .exec(conn)
                    .await?;
                if found.status != ReportStatus::Open || settled.rows_affected == 0 {
                    return Err(Error::AlreadyDecided);
                }
                if verdict == Verdict::Remove {
                    return match found.comment_id {
                        Some(comment) => match self.erase_comment(conn, caller, comment, &post, &found.reason).await {
                            // Its author was faster.
                            Err(Error::CommentNotFound(_)) => Ok(()),
                            outcome => outcome,
                        },
                        None => self.erase_post(conn, caller, &post, &found.reason).await,
                    };
                }
                let act = Moderated {
                    group: found.group_id,
                    actor: caller.user,
                    action: if verdict == Verdict::Dismiss { "dismissed_report" } else { "upheld_report" },
                    subject: post.author_id,
                    target: format!("report {id}"),
                    detail: &found.reason,
                };
                Ok(self.note(conn, act).await?)
            })
            .await
    }

    pub(super) async fn list_queue(&self, caller: &Caller, group: GroupId, page: PageQuery) -> Result<Page<Post>> {
        Seat::look(self.db.conn(), caller, group).await?.moderator()?;
        let viewer = Viewer::from(caller);
        let waiting = visible_posts(viewer)
            .filter(post::COLUMN.group_id.eq(group))
            .filter(Expr::cust("NOT community_post.is_approved"));
        let ordering = Ordering { fields: &[("id", post::Column::Id)], usual: "id", id: post::Column::Id };
        self.page_of_posts(waiting, &ordering, &page, viewer).await
    }

    pub(super) async fn let_through(&self, caller: &Caller, id: PostId, approve: bool) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                lock_group_of(conn, id).await?;
                let found =
                    visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
                let found = found.ok_or(Error::PostNotFound(id))?;
                let group = found.group_id.ok_or(Error::AlreadyDecided)?;
                Seat::look(conn, caller, group).await?.moderator()?;
                if found.is_approved {
                    return Err(Error::AlreadyDecided);
                }
                if !approve {
                    return self.erase_post(conn, caller, &found, "").await;
                }
                let row = post::ActiveModel { id: Unchanged(id), is_approved: Set(true), ..Default::default() };
                post::Entity::update(row).exec_without_returning(conn).await?;
                if counts(true, found.visibility) {
                    count_posts(conn, group, 1).await?;
                }
                let act = Moderated {
                    group: Some(group),
                    actor: caller.user,
                    action: "approved_post",
                    subject: found.author_id,
                    target: format!("post {id}"),
                    detail: &found.title,
                };
                Ok(self.note(conn, act).await?)
            })
            .await
    }
}
