//! Nobody is put into an organization, and everybody gets out.

use std::time::Duration;

use guildhall_deals::{
    Clients, Deals, Filter, Invitations, Member, MemberId, MemberPatch, MemberStatus, Members, NewDeal, NewMember,
    NewOrganization, NewTask, OrganizationId, Organizations, Removal, Work,
};
use guildhall_kernel::{Caller, Clock, IfMatch, Roles, UserId, UserRemoval};

use crate::harness::{Harness, code, deal, deals, faults, page, person};

async fn invite(
    harness: &Harness,
    by: &Caller,
    org: OrganizationId,
    user: i64,
) -> Result<Member, guildhall_deals::Error> {
    let role_id = harness.role(org, "viewer").await;
    harness.add_member(by, org, NewMember { user_id: UserId(user), role_id, team_id: None, leads_team: false }).await
}

async fn open(harness: &Harness, user: i64) -> Vec<(MemberId, String)> {
    let open = harness.invitations(&person(user), page()).await.unwrap().results;
    open.into_iter().map(|invitation| (invitation.id, invitation.organization.name)).collect()
}

#[tokio::test]
async fn fault_5_an_invited_person_is_no_member_until_they_accept() {
    let harness = deals().await;
    let (org, own) = (harness.org().await, harness.org_of(2, "Own").await);
    let invited = invite(&harness, &person(1), org, 2).await.unwrap();
    assert_eq!(invited.status, MemberStatus::Invited);
    // Nothing of theirs has changed: neither what they see, nor their short paths.
    assert_eq!(harness.only_organization(&person(2)).await.unwrap(), own);
    assert_eq!(code(harness.organization(&person(2), org).await), "organization_not_found");
    assert_eq!(harness.organizations(&person(2), page()).await.unwrap().count, 1);
    // Nothing can be hung on them.
    let client = harness.client_of(1, org, "x").await.id;
    let theirs = NewDeal { owner_id: Some(UserId(2)), ..deal(client, "x", "1") };
    assert!(!faults(harness.create_deal(&person(1), org, None, theirs, None).await.map(|_| ())).is_empty());
    let task = NewTask { title: "x".into(), assignee_id: Some(UserId(2)), ..NewTask::default() };
    assert!(!faults(harness.create_task(&person(1), org, task).await).is_empty());
    // The one who invites cannot accept in their place.
    let patch = MemberPatch { status: Some(MemberStatus::Active), ..MemberPatch::default() };
    let changed = harness.change_member(&person(1), org, invited.id, patch, IfMatch::default()).await;
    assert_eq!(faults(changed), ["status"]);
    assert_eq!(code(harness.accept_invitation(&person(3), invited.id).await), "not_found");
    let shown = harness.invitations(&person(2), page()).await.unwrap().results.remove(0);
    assert_eq!((shown.id, shown.organization.name.as_str()), (invited.id, "Acme"));
    assert_eq!((shown.role.name.as_str(), shown.invited_by.unwrap().id), ("Viewer", UserId(1)));
    let accepted = harness.accept_invitation(&person(2), invited.id).await.unwrap();
    assert_eq!(accepted.status, MemberStatus::Active);
    assert_eq!(harness.organization(&person(2), org).await.unwrap().role, "Viewer");
    assert!(open(&harness, 2).await.is_empty());
    assert_eq!(code(harness.accept_invitation(&person(2), invited.id).await), "not_found");
}

#[tokio::test]
async fn fault_5_an_invitation_is_declined_and_may_come_again() {
    let harness = deals().await;
    let org = harness.org().await;
    let first = invite(&harness, &person(1), org, 2).await.unwrap().id;
    assert_eq!(code(invite(&harness, &person(1), org, 2).await), "duplicate");
    assert_eq!(code(harness.decline_invitation(&person(3), first).await), "not_found");
    harness.decline_invitation(&person(2), first).await.unwrap();
    assert!(open(&harness, 2).await.is_empty());
    let second = invite(&harness, &person(1), org, 2).await.unwrap().id;
    // It is withdrawn like a membership.
    harness.remove_member(&person(1), org, second, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.accept_invitation(&person(2), second).await), "not_found");
}

#[tokio::test]
async fn fault_5_staff_add_people_at_once() {
    let harness = deals().await;
    let staff = Caller::new(UserId(1), Roles { staff: true, ..Roles::default() });
    let new = NewOrganization { name: "Acme".into(), ..NewOrganization::default() };
    let org = harness.create_organization(&staff, new).await.unwrap().id;
    assert_eq!(invite(&harness, &staff, org, 2).await.unwrap().status, MemberStatus::Active);
    assert!(harness.organization(&person(2), org).await.is_ok());
}

#[tokio::test]
async fn fault_5_any_member_leaves_and_what_was_hung_on_them_goes_to_the_owner() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "viewer", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let theirs = NewDeal { owner_id: Some(UserId(2)), ..deal(client, "x", "1") };
    harness.create_deal(&person(1), org, None, theirs, None).await.unwrap();
    assert_eq!(code(harness.leave_organization(&person(1), org).await), "last_owner");
    harness.leave_organization(&person(2), org).await.unwrap();
    assert_eq!(code(harness.organization(&person(2), org).await), "organization_not_found");
    let all = harness.deals.deals(&person(1), org, None, Filter::default(), page()).await.unwrap().results;
    assert_eq!(all[0].owner.as_ref().unwrap().id, UserId(1));
    // Nothing keeps their account.
    let removal = &Removal::new(Clock::system());
    let blockers = harness.db.write(|tx| async move { removal.blockers(tx.conn(), UserId(2), None).await }).await;
    assert!(blockers.unwrap().is_empty());
    assert!(harness.clients(&person(1), org, Filter::default(), page()).await.is_ok());
}

#[tokio::test]
async fn fault_5_invitations_and_reminders_do_not_fill_a_mailbox() {
    let harness = deals().await;
    let emails = async |subject: &str| {
        harness.number(&format!("SELECT COUNT(*) FROM kernel_outbox WHERE title LIKE '{subject}%'")).await
    };
    for n in 0..7 {
        let org = harness.org_of(1, &format!("Org {n}")).await;
        invite(&harness, &person(1), org, 2).await.unwrap();
    }
    assert_eq!(emails("An invitation").await, 5, "the others are there without an email");
    assert_eq!(open(&harness, 2).await.len(), 7);
    let org = harness.org().await;
    harness.join(org, 3, "salesperson", None).await;
    for n in 0..40 {
        let title = format!("Your account will be closed {n}");
        let remind_at = Some(serde_json::from_value("2020-01-01T00:00:00Z".into()).unwrap());
        let task = NewTask { title, assignee_id: Some(UserId(3)), remind_at, ..NewTask::default() };
        harness.create_task(&person(1), org, task).await.unwrap();
    }
    harness.remind().await.unwrap();
    let sent = emails("Reminder").await;
    assert!(sent <= 20, "{sent} reminders within a moment");
    harness.pass(Duration::from_secs(25 * 3600));
    assert_eq!(harness.remind().await.unwrap(), 0, "what was not sent does not come later in one heap");
}

#[tokio::test]
async fn fault_14_one_person_makes_only_so_many_organizations_in_a_day() {
    let harness = deals().await;
    for n in 0..20 {
        harness.org_of(1, &format!("Org {n}")).await;
    }
    let new = || NewOrganization { name: "One more".into(), ..NewOrganization::default() };
    assert_eq!(code(harness.create_organization(&person(1), new()).await), "quota_exceeded");
    harness.create_organization(&person(2), new()).await.unwrap();
    harness.pass(Duration::from_secs(25 * 3600));
    harness.create_organization(&person(1), new()).await.unwrap();
}
