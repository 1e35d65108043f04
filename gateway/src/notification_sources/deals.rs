//! Notifications of deals, payments and tasks.

use std::collections::HashSet;

use async_trait::async_trait;
use guildhall_deals::{
    DealId, DealSummary, MemberId, OrganizationId, PaymentKind, SqlDeals, TaskId, TaskSummary, Verification,
    event::{DealAssigned, DealsAssigned, PaymentData, PaymentDecided, PaymentRecorded, TaskDue},
};
use guildhall_kernel::{
    Result, UserId,
    db::Tx,
    event::{Emitted, Event, EventId},
};
use guildhall_notifications::{NewNotification, NotificationKind, Source, Target};

/// The kinds of targets.
const DEAL: &str = "deal";
/// The payments of a deal, which not everybody who may see the deal may see. The id is that of the deal.
const DEAL_PAYMENTS: &str = "deal_payments";
/// A task, until it is done.
const TASK: &str = "task";
const ORGANIZATION: &str = "organization";

/// Notifies users of the events of their organizations.
pub(crate) struct DealsSource(pub(crate) SqlDeals);

fn deal_url(org: OrganizationId, deal: DealId) -> String {
    format!("/crm/{org}/deals/{deal}/")
}

/// `deal DLID0001 “Website”`
fn describe(deal: &DealSummary) -> String {
    let DealSummary { number, title, .. } = deal;
    if title.is_empty() { format!("deal {number}") } else { format!("deal {number} “{title}”") }
}

/// A notification about a payment.
fn about_payment(
    recipient: UserId,
    kind: NotificationKind,
    actor: Option<UserId>,
    (org, payment): (OrganizationId, &PaymentData),
    deal: &DealSummary,
) -> NewNotification {
    let url = deal_url(org, payment.deal_id);
    NewNotification {
        recipient,
        kind,
        actor,
        target: Some(Target { kind: DEAL_PAYMENTS.to_owned(), id: payment.deal_id.0, url }),
        group_key: format!("deal/{}", payment.deal_id),
        subject: describe(deal),
    }
}

impl DealsSource {
    /// The users behind two members, of those who are active.
    async fn users(&self, tx: &Tx, one: Option<MemberId>, other: MemberId) -> Result<(Option<UserId>, Option<UserId>)> {
        let members: Vec<MemberId> = one.into_iter().chain([other]).collect();
        let users = self.0.active_users(tx, &members).await?;
        Ok((one.and_then(|one| users.get(&one).copied()), users.get(&other).copied()))
    }

    async fn assigned(&self, tx: &Tx, event: DealAssigned) -> Result<Vec<NewNotification>> {
        let DealAssigned { organization_id: org, deal, owner, actor } = event;
        // Unless it was assigned to yet another member since then.
        let summary = self.0.deal_summary(tx, org, deal).await?.filter(|deal| deal.owner == owner);
        let Some(summary) = summary else { return Ok(Vec::new()) };
        let (_, owner) = self.users(tx, None, owner).await?;
        let assigned = |recipient| NewNotification {
            recipient,
            kind: NotificationKind::DealAssigned,
            actor: Some(actor),
            target: Some(Target { kind: DEAL.to_owned(), id: deal.0, url: deal_url(org, deal) }),
            group_key: format!("deal/{deal}"),
            subject: describe(&summary),
        };
        Ok(owner.map(assigned).into_iter().collect())
    }

    async fn several_assigned(&self, tx: &Tx, id: EventId, event: DealsAssigned) -> Result<Vec<NewNotification>> {
        let DealsAssigned { organization_id: org, owner, deals, actor } = event;
        let (_, owner) = self.users(tx, None, owner).await?;
        let assigned = |recipient| NewNotification {
            recipient,
            kind: NotificationKind::DealAssigned,
            actor,
            target: Some(Target { kind: ORGANIZATION.to_owned(), id: org.0, url: format!("/crm/{org}/deals/") }),
            // The text contains the number of deals, so that each is a notification of its own.
            group_key: format!("organization/{org}/{id}"),
            subject: if deals == 1 { "1 deal".to_owned() } else { format!("{deals} deals") },
        };
        Ok(owner.map(assigned).into_iter().collect())
    }

    async fn due(&self, tx: &Tx, event: TaskDue) -> Result<Vec<NewNotification>> {
        let TaskDue { organization_id: org, task, assignee, due_at } = event;
        // Unless it was assigned to another member, postponed or done since then.
        let summary = self.0.task_summary(tx, org, task).await?;
        let summary = summary.filter(|task| task.assignee == assignee && task.due_at == Some(due_at));
        let Some(TaskSummary { title, .. }) = summary else { return Ok(Vec::new()) };
        let (_, assignee) = self.users(tx, None, assignee).await?;
        let due = |recipient| NewNotification {
            recipient,
            kind: NotificationKind::TaskDue,
            actor: None,
            target: Some(Target { kind: TASK.to_owned(), id: task.0, url: format!("/crm/{org}/tasks/{task}/") }),
            // Each due time is a notification of its own.
            group_key: format!("task/{task}/{}", due_at.unix_micros()),
            subject: format!("task “{title}”"),
        };
        Ok(assignee.map(due).into_iter().collect())
    }

    async fn recorded(&self, tx: &Tx, event: PaymentRecorded) -> Result<Vec<NewNotification>> {
        let PaymentRecorded { organization_id: org, payment } = event;
        if payment.kind != PaymentKind::Payment {
            return Ok(Vec::new());
        }
        let Some(deal) = self.0.deal_summary(tx, org, payment.deal_id).await? else { return Ok(Vec::new()) };
        let (actor, owner) = self.users(tx, Some(payment.recorded_by_member_id), deal.owner).await?;
        let recorded = |owner| about_payment(owner, NotificationKind::PaymentRecorded, actor, (org, &payment), &deal);
        Ok(owner.map(recorded).into_iter().collect())
    }

    async fn decided(&self, tx: &Tx, event: PaymentDecided) -> Result<Vec<NewNotification>> {
        let PaymentDecided { organization_id: org, payment, .. } = event;
        if payment.state != Verification::Verified {
            return Ok(Vec::new());
        }
        let Some(deal) = self.0.deal_summary(tx, org, payment.deal_id).await? else { return Ok(Vec::new()) };
        let (actor, recorder) = self.users(tx, payment.decided_by_member_id, payment.recorded_by_member_id).await?;
        let verified =
            |recorder| about_payment(recorder, NotificationKind::PaymentVerified, actor, (org, &payment), &deal);
        Ok(recorder.map(verified).into_iter().collect())
    }
}

#[async_trait]
impl Source for DealsSource {
    fn events(&self) -> Vec<&'static str> {
        vec![DealAssigned::NAME, DealsAssigned::NAME, PaymentRecorded::NAME, PaymentDecided::NAME, TaskDue::NAME]
    }

    fn targets(&self) -> Vec<&'static str> {
        vec![DEAL, DEAL_PAYMENTS, TASK, ORGANIZATION]
    }

    async fn notifications(&self, tx: &Tx, event: &Emitted) -> Result<Vec<NewNotification>> {
        if let Some(event) = event.read()? {
            return self.assigned(tx, event).await;
        }
        if let Some(assigned) = event.read()? {
            return self.several_assigned(tx, event.id, assigned).await;
        }
        if let Some(event) = event.read()? {
            return self.recorded(tx, event).await;
        }
        if let Some(event) = event.read()? {
            return self.decided(tx, event).await;
        }
        match event.read()? {
            Some(event) => self.due(tx, event).await,
            None => Ok(Vec::new()),
        }
    }

    async fn may_see(&self, user: UserId, kind: &str, ids: &[i64]) -> Result<HashSet<i64>> {
        let ids = ids.iter().copied();
        Ok(match kind {
            DEAL => {
                let ids: Vec<DealId> = ids.map(DealId).collect();
                self.0.visible_deals(user, &ids).await?.into_iter().map(|id| id.0).collect()
            }
            DEAL_PAYMENTS => {
                let ids: Vec<DealId> = ids.map(DealId).collect();
                self.0.deals_with_visible_payments(user, &ids).await?.into_iter().map(|id| id.0).collect()
            }
            TASK => {
                let ids: Vec<TaskId> = ids.map(TaskId).collect();
                self.0.visible_open_tasks(user, &ids).await?.into_iter().map(|id| id.0).collect()
            }
            ORGANIZATION => {
                let ids: Vec<OrganizationId> = ids.map(OrganizationId).collect();
                self.0.organizations_of(user, &ids).await?.into_iter().map(|id| id.0).collect()
            }
            _ => HashSet::new(),
        })
    }
}
