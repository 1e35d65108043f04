//! Joining and leaving organizations.

use std::time::Duration;

use guildhall_deals::{
    Clients, Deals, Filter, Invitations, Member, MemberId, MemberPatch, MemberStatus, Members, NewDeal, NewMember,
    NewOrganization, NewTask, OrganizationId, Organizations, Removal, Tasks,
};
use guildhall_kernel::{Caller, Clock, IfMatch, Roles, UserId, UserRemoval};

use crate::harness::{Harness, code, deal, deals, invalid_fields, page, person};

async fn invite(
    harness: &Harness,
    by: &Caller,
    org: OrganizationId,
    user: i64,
) -> Result<Member, guildhall_deals::Error> {
    let role_id = harness.role(org, "viewer").await;
    harness
        .tenancy
        .add_member(by, org, NewMember { user_id: UserId(user), role_id, team_id: None, leads_team: false })
        .await
}

async fn open(harness: &Harness, user: i64) -> Vec<(MemberId, String)> {
    let open = harness.tenancy.invitations(&person(user), page()).await.unwrap().results;
    open.into_iter().map(|invitation| (invitation.id, invitation.organization.name)).collect()
}

#[tokio::test]
async fn fault_5_an_invited_person_is_not_a_member_before_accepting() {
    let harness = deals().await;
    let (org, own) = (harness.org().await, harness.org_of(2, "Own").await);
    let invited = invite(&harness, &person(1), org, 2).await.unwrap();
    assert_eq!(invited.status, MemberStatus::Invited);
    // For the invited person nothing has changed, also on the compatibility routes.
    assert_eq!(harness.tenancy.only_organization(&person(2)).await.unwrap(), own);
    assert_eq!(code(harness.tenancy.organization(&person(2), org).await), "organization_not_found");
    assert_eq!(harness.tenancy.organizations(&person(2), page()).await.unwrap().count, 1);
    // Nothing can be assigned to them.
    let client = harness.client_of(1, org, "x").await.id;
    let theirs = NewDeal { owner_id: Some(UserId(2)), ..deal(client, "x", "1") };
    assert!(
        !invalid_fields(harness.sales.create_deal(&person(1), org, None, theirs, None).await.map(|_| ())).is_empty()
    );
    let task = NewTask { title: "x".into(), assignee_id: Some(UserId(2)), ..NewTask::default() };
    assert!(!invalid_fields(harness.tasks.create_task(&person(1), org, task).await).is_empty());
    // Nobody else can accept for them.
    let patch = MemberPatch { status: Some(MemberStatus::Active), ..MemberPatch::default() };
    let changed = harness.tenancy.change_member(&person(1), org, invited.id, patch, IfMatch::default()).await;
    assert_eq!(invalid_fields(changed), ["status"]);
    assert_eq!(code(harness.tenancy.accept_invitation(&person(3), invited.id).await), "not_found");
    let shown = harness.tenancy.invitations(&person(2), page()).await.unwrap().results.remove(0);
    assert_eq!((shown.id, shown.organization.name.as_str()), (invited.id, "Acme"));
    assert_eq!((shown.role.name.as_str(), shown.invited_by.unwrap().id), ("Viewer", UserId(1)));
    let accepted = harness.tenancy.accept_invitation(&person(2), invited.id).await.unwrap();
    assert_eq!(accepted.status, MemberStatus::Active);
    assert_eq!(harness.tenancy.organization(&person(2), org).await.unwrap().role, "Viewer");
    assert!(open(&harness, 2).await.is_empty());
    assert_eq!(code(harness.tenancy.accept_invitation(&person(2), invited.id).await), "not_found");
}

#[tokio::test]
async fn fault_5_an_invitation_can_be_declined_and_repeated() {
    let harness = deals().await;
    let org = harness.org().await;
    let first = invite(&harness, &person(1), org, 2).await.unwrap().id;
    assert_eq!(code(invite(&harness, &person(1), org, 2).await), "duplicate");
    assert_eq!(code(harness.tenancy.decline_invitation(&person(3), first).await), "not_found");
    harness.tenancy.decline_invitation(&person(2), first).await.unwrap();
    assert!(open(&harness, 2).await.is_empty());
    let second = invite(&harness, &person(1), org, 2).await.unwrap().id;
    // An invitation is withdrawn by removing the member.
    harness.tenancy.remove_member(&person(1), org, second, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.tenancy.accept_invitation(&person(2), second).await), "not_found");
}

#[tokio::test]
async fn fault_5_staff_add_members_without_an_invitation() {
    let harness = deals().await;
    let staff = Caller::new(UserId(1), Roles { staff: true, ..Roles::default() });
    let new = NewOrganization { name: "Acme".into(), ..NewOrganization::default() };
    let org = harness.tenancy.create_organization(&staff, new).await.unwrap().id;
    assert_eq!(invite(&harness, &staff, org, 2).await.unwrap().status, MemberStatus::Active);
    assert!(harness.tenancy.organization(&person(2), org).await.is_ok());
}

#[tokio::test]
async fn fault_5_a_member_can_leave_and_their_deals_go_to_the_owner() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "viewer", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let theirs = NewDeal { owner_id: Some(UserId(2)), ..deal(client, "x", "1") };
    harness.sales.create_deal(&person(1), org, None, theirs, None).await.unwrap();
    assert_eq!(code(harness.tenancy.leave_organization(&person(1), org).await), "last_owner");
    harness.tenancy.leave_organization(&person(2), org).await.unwrap();
    assert_eq!(code(harness.tenancy.organization(&person(2), org).await), "organization_not_found");
    let all = harness.deals.sales.deals(&person(1), org, None, Filter::default(), page()).await.unwrap().results;
    assert_eq!(all[0].owner.as_ref().unwrap().id, UserId(1));
    // Their account can be deleted.
    let removal = &Removal::new(Clock::system());
    let blockers = harness.db.write(|tx| async move { removal.blockers(&tx, UserId(2), None).await }).await;
    assert!(blockers.unwrap().is_empty());
    assert!(harness.clients.clients(&person(1), org, Filter::default(), page()).await.is_ok());
}

#[tokio::test]
async fn fault_5_invitation_and_reminder_emails_are_limited() {
    let harness = deals().await;
    let emails = async |subject: &str| {
        harness.db.query_i64(&format!("SELECT COUNT(*) FROM kernel_outbox WHERE title LIKE '{subject}%'")).await
    };
    for n in 0..7 {
        let org = harness.org_of(1, &format!("Org {n}")).await;
        invite(&harness, &person(1), org, 2).await.unwrap();
    }
    assert_eq!(emails("An invitation").await, 5, "further invitations are not sent by email");
    assert_eq!(open(&harness, 2).await.len(), 7);
    let org = harness.org().await;
    harness.join(org, 3, "salesperson", None).await;
    for n in 0..40 {
        let title = format!("Your account will be closed {n}");
        let remind_at = Some(serde_json::from_value("2020-01-01T00:00:00Z".into()).unwrap());
        let task = NewTask { title, assignee_id: Some(UserId(3)), remind_at, ..NewTask::default() };
        harness.tasks.create_task(&person(1), org, task).await.unwrap();
    }
    harness.tasks.remind().await.unwrap();
    let sent = emails("Reminder").await;
    assert!(sent <= 20, "{sent} reminders");
    harness.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(harness.tasks.remind().await.unwrap(), 0, "suppressed reminders are not sent later");
}

#[tokio::test]
async fn fault_14_organizations_per_person_and_day_are_limited() {
    let harness = deals().await;
    for n in 0..20 {
        harness.org_of(1, &format!("Org {n}")).await;
    }
    let new = || NewOrganization { name: "One more".into(), ..NewOrganization::default() };
    assert_eq!(code(harness.tenancy.create_organization(&person(1), new()).await), "quota_exceeded");
    harness.tenancy.create_organization(&person(2), new()).await.unwrap();
    harness.clock.advance(Duration::from_secs(25 * 3600));
    harness.tenancy.create_organization(&person(1), new()).await.unwrap();
}
