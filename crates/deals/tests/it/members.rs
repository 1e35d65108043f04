use guildhall_deals::{
    Clients, DealStatus, Filter, Handover, MemberPatch, MemberStatus, Members, NewMember, NewRole, Organizations,
    RolePatch, TeamPatch, catalogue,
};
use guildhall_kernel::{IfMatch, UserId};

use crate::harness::{code, deals, faults, page, person};

fn any() -> IfMatch {
    IfMatch::default()
}

#[tokio::test]
async fn whoever_makes_an_organization_owns_it_and_finds_it_furnished() {
    let harness = deals().await;
    let org = harness.org().await;
    let own = harness.own_membership(&person(1), org).await.unwrap();
    let everything: Vec<String> = catalogue()
        .into_iter()
        .filter(|entry| entry.scope.is_none_or(|scope| scope == "all"))
        .map(|entry| entry.permission)
        .collect();
    assert_eq!(own.permissions, everything);
    assert_eq!(own.member.role.name, "Owner");
    let listed = harness.organizations(&person(1), page()).await.unwrap();
    assert_eq!((listed.count, listed.results[0].role.as_str()), (1, "Owner"));
    assert_eq!(listed.results[0].slug, "acme");
    let second = harness.org_of(1, "Acme").await;
    let second = harness.organization(&person(1), second).await.unwrap();
    assert!(second.slug.starts_with("acme-") && second.name == "Acme");
    assert_eq!(Members::roles(&harness.deals, &person(1), org, page()).await.unwrap().count, 6);
}

#[tokio::test]
async fn what_is_not_ones_own_does_not_exist() {
    let harness = deals().await;
    let org = harness.org().await;
    assert_eq!(code(harness.organization(&person(2), org).await), "organization_not_found");
    let member = harness.join(org, 2, "viewer", None).await;
    assert_eq!(harness.organization(&person(2), org).await.unwrap().role, "Viewer");
    let out = MemberPatch { status: Some(MemberStatus::Deactivated), ..MemberPatch::default() };
    harness.change_member(&person(1), org, member.id, out, any()).await.unwrap();
    assert_eq!(code(harness.organization(&person(2), org).await), "organization_not_found");
    assert_eq!(harness.organizations(&person(2), page()).await.unwrap().count, 0);
    assert_eq!(code(harness.only_organization(&person(2)).await), "not_found");
    assert_eq!(harness.only_organization(&person(1)).await.unwrap(), org);
    harness.org_of(1, "Second").await;
    assert_eq!(code(harness.only_organization(&person(1)).await), "organization_required");
}

#[tokio::test]
async fn nobody_gives_or_becomes_more_than_they_are() {
    let harness = deals().await;
    let org = harness.org().await;
    let admin = harness.join(org, 2, "admin", None).await;
    let manager = harness.join(org, 3, "sales_manager", None).await;
    let role = |words: &[&str]| NewRole {
        name: format!("r{}", words.len()),
        permissions: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    let helper = harness.create_role(&person(2), org, role(&["deal.read:own", "member.read"])).await.unwrap();
    assert_eq!(helper.permissions, ["member.read", "deal.read:own"]);
    assert_eq!(code(harness.create_role(&person(2), org, role(&["trash.purge"])).await), "escalation");
    assert_eq!(faults(harness.create_role(&person(2), org, role(&["deal.fly"])).await), ["permissions"]);
    assert_eq!(code(harness.create_role(&person(3), org, role(&[])).await), "not_granted");
    // Their own role, the owner's, and a role that grants more.
    let (owner, own) = (harness.role(org, "owner").await, harness.role(org, "admin").await);
    for id in [owner, own] {
        let patch = RolePatch { permissions: Some(Vec::new()), ..RolePatch::default() };
        assert_eq!(code(harness.change_role(&person(2), org, id, patch, any()).await), "escalation");
        assert_eq!(code(harness.delete_role(&person(2), org, id, any()).await), "escalation");
    }
    let owner_of = |id| MemberPatch { role_id: Some(id), ..MemberPatch::default() };
    assert_eq!(code(harness.change_member(&person(2), org, manager.id, owner_of(owner), any()).await), "escalation");
    assert_eq!(code(harness.change_member(&person(2), org, admin.id, owner_of(owner), any()).await), "escalation");
    let new = NewMember { user_id: UserId(4), role_id: owner, team_id: None, leads_team: false };
    assert_eq!(code(harness.add_member(&person(2), org, new.clone()).await), "escalation");
    let first = harness.members(&person(2), org, page()).await.unwrap().results[0].id;
    assert_eq!(code(harness.change_member(&person(2), org, first, owner_of(own), any()).await), "escalation");
    assert_eq!(code(harness.remove_member(&person(2), org, first, any()).await), "escalation");
    assert_eq!(code(harness.add_member(&person(3), org, new.clone()).await), "not_granted");
    assert_eq!(harness.add_member(&person(1), org, new.clone()).await.unwrap().role.name, "Owner");
    assert_eq!(code(harness.add_member(&person(1), org, new).await), "duplicate");
    let stranger = NewMember { user_id: UserId(999), role_id: own, team_id: None, leads_team: false };
    assert_eq!(faults(harness.add_member(&person(1), org, stranger).await), ["user_id"]);
    // A role that somebody has stays.
    let someone = NewMember { user_id: UserId(5), role_id: helper.id, team_id: None, leads_team: false };
    harness.add_member(&person(1), org, someone).await.unwrap();
    assert_eq!(code(harness.delete_role(&person(1), org, helper.id, any()).await), "protected");
}

#[tokio::test]
async fn an_organization_is_never_without_an_owner() {
    let harness = deals().await;
    let org = harness.org().await;
    let own = harness.own_membership(&person(1), org).await.unwrap().member;
    let admin = harness.role(org, "admin").await;
    let demoted = MemberPatch { role_id: Some(admin), ..MemberPatch::default() };
    let out = MemberPatch { status: Some(MemberStatus::Deactivated), ..MemberPatch::default() };
    for patch in [demoted.clone(), out.clone()] {
        assert_eq!(code(harness.change_member(&person(1), org, own.id, patch, any()).await), "last_owner");
    }
    assert_eq!(code(harness.remove_member(&person(1), org, own.id, any()).await), "last_owner");
    let second = harness.join(org, 2, "owner", None).await;
    harness.change_member(&person(2), org, own.id, demoted, any()).await.unwrap();
    assert_eq!(code(harness.change_member(&person(2), org, second.id, out, any()).await), "last_owner");
}

#[tokio::test]
async fn everybody_sees_as_far_as_their_role_reaches() {
    let harness = deals().await;
    let org = harness.org().await;
    let north = harness.team_of(org, "North", None).await;
    let harbour = harness.team_of(org, "Harbour", Some(north)).await;
    let south = harness.team_of(org, "South", None).await;
    for (user, team) in [(2, north), (3, harbour), (4, south)] {
        harness.join(org, user, "salesperson", Some(team)).await;
    }
    let manager = harness.join(org, 5, "sales_manager", Some(north)).await;
    harness.join(org, 6, "viewer", None).await;
    for user in [2, 3, 4] {
        let client = harness.client_of(user, org, &format!("client of {user}")).await.id;
        harness.deal_of(user, org, client, "1").await;
    }
    let seen = async |user| {
        let clients = harness.clients(&person(user), org, Filter::default(), page()).await.unwrap();
        (clients.count, harness.titles(user, org, &[]).await.len())
    };
    assert_eq!((seen(2).await, seen(4).await), ((1, 1), (1, 1)));
    assert_eq!(seen(5).await, (1, 1), "the team, but not what is below it");
    let leads = MemberPatch { leads_team: Some(true), ..MemberPatch::default() };
    harness.change_member(&person(1), org, manager.id, leads, any()).await.unwrap();
    assert_eq!(seen(5).await, (2, 2), "and what is below it, for whoever leads it");
    assert_eq!((seen(1).await, seen(6).await), ((3, 3), (3, 3)));
    let all = harness.clients(&person(1), org, Filter::default(), page()).await.unwrap().results;
    let of_two = all.iter().find(|client| client.name == "client of 2").unwrap().id;
    assert_eq!(code(Clients::client(&harness.deals, &person(4), org, of_two).await), "client_not_found");
    assert_eq!(code(harness.delete_client(&person(6), org, of_two, false, None, any()).await), "not_granted");
    // A team is no part of itself, however far round.
    let below = TeamPatch { parent_id: Some(Some(harbour)), ..TeamPatch::default() };
    assert_eq!(faults(harness.change_team(&person(1), org, north, below, any()).await), ["parent_id"]);
    assert_eq!(code(harness.delete_team(&person(1), org, north, any()).await), "protected");
}

#[tokio::test]
async fn somebody_whose_deals_there_are_is_not_removed_until_they_are_handed_over() {
    let harness = deals().await;
    let org = harness.org().await;
    let member = harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let client = harness.client_of(2, org, "Global Corp").await.id;
    for _ in 0..3 {
        harness.deal_of(2, org, client, "1").await;
    }
    let refused = harness.remove_member(&person(1), org, member.id, any()).await.unwrap_err();
    let refused = guildhall_kernel::Error::from(refused);
    assert_eq!(refused.code(), "protected");
    let blockers = refused.extension("blockers").unwrap();
    assert_eq!(
        (&blockers[0]["model"], &blockers[0]["relation"], &blockers[0]["count"]),
        (&"deal".into(), &"created_by".into(), &3.into())
    );
    assert_eq!(blockers[0]["examples"][0], "DLID0001 - Global Corp");
    let to = |user, include_creator| Handover { to_user_id: UserId(user), include_creator };
    let moved = harness.reassign(&person(1), org, member.id, to(3, false)).await.unwrap();
    assert_eq!((moved.clients, moved.deals), (1, 3));
    assert_eq!(code(harness.remove_member(&person(1), org, member.id, any()).await), "protected");
    assert_eq!(faults(harness.reassign(&person(1), org, member.id, to(2, true)).await), ["to_user_id"]);
    assert_eq!(faults(harness.reassign(&person(1), org, member.id, to(9, true)).await), ["to_user_id"]);
    harness.reassign(&person(1), org, member.id, to(3, true)).await.unwrap();
    harness.remove_member(&person(1), org, member.id, any()).await.unwrap();
    assert_eq!(code(harness.organization(&person(2), org).await), "organization_not_found");
    let status = harness.titles(3, org, &[("status", "open")]).await.len();
    assert_eq!((status, DealStatus::Open), (3, DealStatus::Open));
    // They can come back.
    harness.join(org, 2, "viewer", None).await;
}

#[tokio::test]
async fn nobody_raises_themselves_or_takes_what_is_above_them() {
    let harness = deals().await;
    let org = harness.org().await;
    let top = harness.team_of(org, "Top", None).await;
    let admin = harness.join(org, 2, "admin", None).await.id;
    let viewer = harness.join(org, 3, "viewer", None).await.id;
    let owner = harness.own_membership(&person(1), org).await.unwrap().member.id;
    for patch in [
        MemberPatch { team_id: Some(Some(top)), leads_team: Some(true), ..MemberPatch::default() },
        MemberPatch { commission_bp: Some(10_000), ..MemberPatch::default() },
    ] {
        assert_eq!(code(harness.change_member(&person(2), org, admin, patch, any()).await), "escalation");
    }
    // Nothing to change is still a change.
    for id in [viewer, admin, owner] {
        let outcome = harness.change_member(&person(3), org, id, MemberPatch::default(), any()).await;
        assert_eq!(code(outcome), "not_granted");
    }
    let grab = Handover { to_user_id: UserId(2), include_creator: true };
    assert_eq!(code(harness.reassign(&person(2), org, owner, grab).await), "escalation");
    let words = ["member.read", "member.delete", "deal.read:own"].map(str::to_owned).to_vec();
    let thief = NewRole { name: "Thief".into(), permissions: words };
    let role_id = harness.create_role(&person(1), org, thief).await.unwrap().id;
    let new = NewMember { user_id: UserId(4), role_id, team_id: None, leads_team: false };
    harness.take_in(org, new).await;
    let grab = Handover { to_user_id: UserId(4), include_creator: true };
    assert_eq!(code(harness.reassign(&person(4), org, viewer, grab).await), "escalation");
    // What people earn is told to those who may know, and to themselves.
    let rate = MemberPatch { commission_bp: Some(100), ..MemberPatch::default() };
    harness.change_member(&person(1), org, viewer, rate, any()).await.unwrap();
    let told = async |who| {
        let members = harness.members(&person(who), org, page()).await.unwrap().results;
        members.into_iter().map(|member| member.commission_bp).collect::<Vec<_>>()
    };
    assert_eq!(told(1).await, [Some(0), Some(0), Some(100), Some(0)]);
    assert_eq!(told(3).await, [None, None, Some(100), None]);
    // A role is removed although somebody who is gone had it.
    let role = NewRole {
        name: "Seller".into(),
        permissions: vec!["client.read".into(), "client.create".into(), "deal.create".into()],
    };
    let role_id = harness.create_role(&person(1), org, role).await.unwrap().id;
    let new = NewMember { user_id: UserId(5), role_id, team_id: None, leads_team: false };
    let gone = harness.take_in(org, new).await.id;
    let client = harness.client_of(5, org, "x").await.id;
    harness.deal_of(5, org, client, "1").await;
    let to = Handover { to_user_id: UserId(1), include_creator: true };
    harness.reassign(&person(1), org, gone, to).await.unwrap();
    harness.remove_member(&person(1), org, gone, any()).await.unwrap();
    assert_eq!(harness.number("SELECT COUNT(*) FROM deals_member WHERE status = 'gone'").await, 1);
    harness.delete_role(&person(1), org, role_id, any()).await.unwrap();
}
