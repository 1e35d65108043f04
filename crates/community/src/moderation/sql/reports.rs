//! Reports of posts and comments.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, DerivePartialModel, EntityTrait, QueryFilter,
    QuerySelect, Set, sea_query::Expr,
};

use super::SqlModeration;
use crate::{
    core::{access::GroupAccess, moderation_log::ModerationEntry},
    entity::{
        post,
        report::{self, ReportStatus},
    },
    error::{Error, Result},
    event::{ContentReported, ReportDecided},
    id::{CommentId, GroupId, PostId, ReportId},
    moderation::{NewReport, Report, Reports, Verdict},
    posts::sql::access::lock_readable_post,
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
fn open_reports_of(post: PostId, comment: Option<CommentId>) -> Condition {
    let condition = Condition::all().add(report::COLUMN.post_id.eq(post)).add(Expr::cust("status = 'open'"));
    match comment {
        Some(comment) => condition.add(report::COLUMN.comment_id.eq(comment)),
        None => condition.add(report::COLUMN.comment_id.is_null()),
    }
}

impl SqlModeration {
    async fn report(&self, caller: &Caller, id: PostId, comment: Option<CommentId>, new: NewReport) -> Result<Report> {
        new.validate()?;
        let new = &new;
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                // Locked, so that of two concurrent reports by one user the second finds the first.
                let post = lock_readable_post(conn, caller, id).await?;
                let own = open_reports_of(id, comment).add(report::COLUMN.reporter_id.eq(caller.user));
                if let Some(existing) =
                    report::Entity::find().filter(own).into_partial_model::<ReportRow>().one(conn).await?
                {
                    return Ok(existing);
                }
                let row = report::ActiveModel {
                    id: NotSet,
                    group_id: Set(post.group_id),
                    post_id: Set(id),
                    comment_id: Set(comment),
                    reporter_id: Set(Some(caller.user)),
                    reason: Set(new.reason.trim().to_owned()),
                    status: Set(ReportStatus::Open),
                    created_at: Set(self.core.now()),
                    decided_by: Set(None),
                    decided_at: Set(None),
                };
                let report_id = row.insert(conn).await?.id;
                let (group, reporter) = (post.group_id, caller.user);
                tx.emit(&ContentReported { report: report_id, group, post: id, comment, reporter }).await?;
                let stored = report::Entity::find_by_id(report_id).into_partial_model::<ReportRow>().one(conn).await?;
                stored.ok_or(Error::NotFound("report"))
            })
            .await?;
        self.show_reports(vec![row]).await?.pop().ok_or(Error::NotFound("report"))
    }

    async fn show_reports(&self, rows: Vec<ReportRow>) -> Result<Vec<Report>> {
        let people = self.core.people(rows.iter().filter_map(|row| row.reporter_id)).await?;
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
}

#[async_trait]
impl Reports for SqlModeration {
    async fn report_post(&self, caller: &Caller, id: PostId, new: NewReport) -> Result<Report> {
        self.report(caller, id, None, new).await
    }

    async fn report_comment(&self, caller: &Caller, id: CommentId, new: NewReport) -> Result<Report> {
        let comment = self.posts.find_comment(caller.into(), id).await?;
        self.report(caller, comment.post, Some(id), new).await
    }

    async fn reports(&self, caller: &Caller, group: Option<GroupId>, page: PageQuery) -> Result<Page<Report>> {
        let conn = self.core.db.conn();
        let mut select = report::Entity::find().filter(report::COLUMN.status.eq(ReportStatus::Open));
        match group {
            Some(group) => {
                GroupAccess::load(conn, caller, group).await?.require_moderator()?;
                select = select.filter(report::COLUMN.group_id.eq(group));
            }
            None if !caller.roles.is_staff() => return Err(Error::NotStaff),
            None => {}
        }
        let ordering = Ordering { fields: &[("id", report::Column::Id)], default: "id", id: report::Column::Id };
        let (rows, page) = Page::<ReportRow>::fetch(select, &ordering, &page, conn).await?.split();
        let reports = self.show_reports(rows).await?;
        Ok(page.with_results(|_| reports))
    }

    async fn decide_report(&self, caller: &Caller, id: ReportId, verdict: Verdict) -> Result<()> {
        let not_found = || Error::NotFound("report");
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let report = report::Entity::find_by_id(id).one(conn).await?.ok_or_else(not_found)?;
                match report.group_id {
                    // Only moderators may know that a report exists.
                    Some(group) => match GroupAccess::load_for_update(conn, caller, group).await {
                        Ok(access) if access.is_moderator() => {}
                        Ok(_) | Err(Error::GroupNotFound(_)) => return Err(not_found()),
                        Err(error) => return Err(error),
                    },
                    None if !caller.roles.is_staff() => return Err(not_found()),
                    None => {}
                }
                let post = post::Entity::find_by_id(report.post_id).lock_exclusive().one(conn).await?;
                let post = post.ok_or_else(not_found)?;
                let status = if verdict == Verdict::Dismiss { ReportStatus::Dismissed } else { ReportStatus::Upheld };
                let decided = report::Entity::update_many()
                    .col_expr(report::Column::Status, Expr::value(status))
                    .col_expr(report::Column::DecidedBy, Expr::value(Some(caller.user)))
                    .col_expr(report::Column::DecidedAt, Expr::value(Some(self.core.now())))
                    .filter(open_reports_of(report.post_id, report.comment_id))
                    .exec(conn)
                    .await?;
                if report.status != ReportStatus::Open || decided.rows_affected == 0 {
                    return Err(Error::AlreadyDecided);
                }
                let decided = ReportDecided {
                    report: id,
                    post: report.post_id,
                    comment: report.comment_id,
                    is_upheld: verdict != Verdict::Dismiss,
                    actor: caller.user,
                };
                tx.emit(&decided).await?;
                if verdict == Verdict::Remove {
                    return match report.comment_id {
                        Some(comment) => {
                            match self.posts.erase_comment(conn, caller, comment, &post, &report.reason).await {
                                // The author has deleted it meanwhile.
                                Err(Error::CommentNotFound(_)) => Ok(()),
                                outcome => outcome,
                            }
                        }
                        None => self.posts.erase_post(conn, caller, &post, &report.reason).await,
                    };
                }
                let entry = ModerationEntry {
                    group: report.group_id,
                    actor: caller.user,
                    action: if verdict == Verdict::Dismiss { "dismissed_report" } else { "upheld_report" },
                    subject: post.author_id,
                    target: format!("report {id}"),
                    detail: &report.reason,
                };
                Ok(self.core.log_moderation(conn, entry).await?)
            })
            .await
    }
}
