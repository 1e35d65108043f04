use guildhall_deals::{
    Clients, Filter, MemberPatch, MemberStatus, Members, NewMember, NewRole, Organizations, Reassign, RolePatch,
    Roles as _, TeamPatch, Teams, catalogue,
};
use guildhall_kernel::{IfMatch, UserId};

use crate::harness::{code, deals, invalid_fields, page, person};

fn any() -> IfMatch {
    IfMatch::default()
}

#[tokio::test]
async fn the_creator_of_an_organization_owns_it() {
    let harness = deals().await;
    let org = harness.org().await;
    let own = harness.tenancy.own_membership(&person(1), org).await.unwrap();
    let everything: Vec<String> = catalogue()
        .into_iter()
        .filter(|entry| entry.scope.is_none_or(|scope| scope == "all"))
        .map(|entry| entry.permission)
        .collect();
    assert_eq!(own.permissions, everything);
    assert_eq!(own.member.role.name, "Owner");
    let listed = harness.tenancy.organizations(&person(1), page()).await.unwrap();
    assert_eq!((listed.count, listed.results[0].role.as_str()), (1, "Owner"));
    assert_eq!(listed.results[0].slug, "acme");
    let second = harness.org_of(1, "Acme").await;
    let second = harness.tenancy.organization(&person(1), second).await.unwrap();
    assert!(second.slug.starts_with("acme-") && second.name == "Acme");
    assert_eq!(guildhall_deals::Roles::roles(&harness.deals.tenancy, &person(1), org, page()).await.unwrap().count, 6);
}

#[tokio::test]
async fn organizations_are_only_visible_to_their_active_members() {
    let harness = deals().await;
    let org = harness.org().await;
    assert_eq!(code(harness.tenancy.organization(&person(2), org).await), "organization_not_found");
    let member = harness.join(org, 2, "viewer", None).await;
    assert_eq!(harness.tenancy.organization(&person(2), org).await.unwrap().role, "Viewer");
    let deactivated = MemberPatch { status: Some(MemberStatus::Deactivated), ..MemberPatch::default() };
    harness.tenancy.change_member(&person(1), org, member.id, deactivated, any()).await.unwrap();
    assert_eq!(code(harness.tenancy.organization(&person(2), org).await), "organization_not_found");
    assert_eq!(harness.tenancy.organizations(&person(2), page()).await.unwrap().count, 0);
    assert_eq!(code(harness.tenancy.only_organization(&person(2)).await), "not_found");
    assert_eq!(harness.tenancy.only_organization(&person(1)).await.unwrap(), org);
    harness.org_of(1, "Second").await;
    assert_eq!(code(harness.tenancy.only_organization(&person(1)).await), "organization_required");
}

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let harness = deals().await;
    let org = harness.org().await;
    let admin = harness.join(org, 2, "admin", None).await;
    let manager = harness.join(org, 3, "sales_manager", None).await;
    let role = |permissions: &[&str]| NewRole {
        name: format!("r{}", permissions.len()),
        permissions: permissions.iter().map(|&permission| permission.to_owned()).collect(),
    };
    let helper = harness.tenancy.create_role(&person(2), org, role(&["deal.read:own", "member.read"])).await.unwrap();
    assert_eq!(helper.permissions, ["member.read", "deal.read:own"]);
    assert_eq!(code(harness.tenancy.create_role(&person(2), org, role(&["trash.purge"])).await), "escalation");
    assert_eq!(
        invalid_fields(harness.tenancy.create_role(&person(2), org, role(&["deal.fly"])).await),
        ["permissions"]
    );
    assert_eq!(code(harness.tenancy.create_role(&person(3), org, role(&[])).await), "not_granted");
    // They cannot change their own role or one that grants more.
    let (owner, own) = (harness.role(org, "owner").await, harness.role(org, "admin").await);
    for id in [owner, own] {
        let patch = RolePatch { permissions: Some(Vec::new()), ..RolePatch::default() };
        assert_eq!(code(harness.tenancy.change_role(&person(2), org, id, patch, any()).await), "escalation");
        assert_eq!(code(harness.tenancy.delete_role(&person(2), org, id, any()).await), "escalation");
    }
    let with_role = |id| MemberPatch { role_id: Some(id), ..MemberPatch::default() };
    assert_eq!(
        code(harness.tenancy.change_member(&person(2), org, manager.id, with_role(owner), any()).await),
        "escalation"
    );
    assert_eq!(
        code(harness.tenancy.change_member(&person(2), org, admin.id, with_role(owner), any()).await),
        "escalation"
    );
    let new = NewMember { user_id: UserId(4), role_id: owner, team_id: None, leads_team: false };
    assert_eq!(code(harness.tenancy.add_member(&person(2), org, new.clone()).await), "escalation");
    let first = harness.tenancy.members(&person(2), org, page()).await.unwrap().results[0].id;
    assert_eq!(code(harness.tenancy.change_member(&person(2), org, first, with_role(own), any()).await), "escalation");
    assert_eq!(code(harness.tenancy.remove_member(&person(2), org, first, any()).await), "escalation");
    assert_eq!(code(harness.tenancy.add_member(&person(3), org, new.clone()).await), "not_granted");
    assert_eq!(harness.tenancy.add_member(&person(1), org, new.clone()).await.unwrap().role.name, "Owner");
    assert_eq!(code(harness.tenancy.add_member(&person(1), org, new).await), "duplicate");
    let unknown = NewMember { user_id: UserId(999), role_id: own, team_id: None, leads_team: false };
    assert_eq!(invalid_fields(harness.tenancy.add_member(&person(1), org, unknown).await), ["user_id"]);
    // A role with members cannot be deleted.
    let member = NewMember { user_id: UserId(5), role_id: helper.id, team_id: None, leads_team: false };
    harness.tenancy.add_member(&person(1), org, member).await.unwrap();
    assert_eq!(code(harness.tenancy.delete_role(&person(1), org, helper.id, any()).await), "protected");
}

#[tokio::test]
async fn an_organization_always_has_an_owner() {
    let harness = deals().await;
    let org = harness.org().await;
    let own = harness.tenancy.own_membership(&person(1), org).await.unwrap().member;
    let admin = harness.role(org, "admin").await;
    let demoted = MemberPatch { role_id: Some(admin), ..MemberPatch::default() };
    let deactivated = MemberPatch { status: Some(MemberStatus::Deactivated), ..MemberPatch::default() };
    for patch in [demoted.clone(), deactivated.clone()] {
        assert_eq!(code(harness.tenancy.change_member(&person(1), org, own.id, patch, any()).await), "last_owner");
    }
    assert_eq!(code(harness.tenancy.remove_member(&person(1), org, own.id, any()).await), "last_owner");
    let second = harness.join(org, 2, "owner", None).await;
    harness.tenancy.change_member(&person(2), org, own.id, demoted, any()).await.unwrap();
    assert_eq!(code(harness.tenancy.change_member(&person(2), org, second.id, deactivated, any()).await), "last_owner");
}

#[tokio::test]
async fn members_see_the_scope_of_their_role() {
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
        let clients = harness.clients.clients(&person(user), org, Filter::default(), page()).await.unwrap();
        (clients.count, harness.titles(user, org, &[]).await.len())
    };
    assert_eq!((seen(2).await, seen(4).await), ((1, 1), (1, 1)));
    assert_eq!(seen(5).await, (1, 1), "the team, without its subteams");
    let leads = MemberPatch { leads_team: Some(true), ..MemberPatch::default() };
    harness.tenancy.change_member(&person(1), org, manager.id, leads, any()).await.unwrap();
    assert_eq!(seen(5).await, (2, 2), "with the subteams, as its leader");
    assert_eq!((seen(1).await, seen(6).await), ((3, 3), (3, 3)));
    let all = harness.clients.clients(&person(1), org, Filter::default(), page()).await.unwrap().results;
    let theirs = all.iter().find(|client| client.name == "client of 2").unwrap().id;
    assert_eq!(code(Clients::client(&harness.deals.clients, &person(4), org, theirs).await), "client_not_found");
    assert_eq!(code(harness.clients.delete_client(&person(6), org, theirs, false, None, any()).await), "not_granted");
    // A team cannot be its own ancestor.
    let cyclic = TeamPatch { parent_id: Some(Some(harbour)), ..TeamPatch::default() };
    assert_eq!(invalid_fields(harness.tenancy.change_team(&person(1), org, north, cyclic, any()).await), ["parent_id"]);
    assert_eq!(code(harness.tenancy.delete_team(&person(1), org, north, any()).await), "protected");
}

#[tokio::test]
async fn a_member_with_deals_is_not_removed_before_they_are_reassigned() {
    let harness = deals().await;
    let org = harness.org().await;
    let member = harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let client = harness.client_of(2, org, "Global Corp").await.id;
    for _ in 0..3 {
        harness.deal_of(2, org, client, "1").await;
    }
    let refused = harness.tenancy.remove_member(&person(1), org, member.id, any()).await.unwrap_err();
    let refused = guildhall_kernel::Error::from(refused);
    assert_eq!(refused.code(), "protected");
    let blockers = refused.extension("blockers").unwrap();
    assert_eq!(
        (&blockers[0]["model"], &blockers[0]["relation"], &blockers[0]["count"]),
        (&"deal".into(), &"created_by".into(), &3.into())
    );
    assert_eq!(blockers[0]["examples"][0], "DLID0001 - Global Corp");
    let to = |user, include_creator| Reassign { to_user_id: UserId(user), include_creator };
    let moved = harness.tenancy.reassign(&person(1), org, member.id, to(3, false)).await.unwrap();
    assert_eq!((moved.clients, moved.deals), (1, 3));
    assert_eq!(code(harness.tenancy.remove_member(&person(1), org, member.id, any()).await), "protected");
    assert_eq!(invalid_fields(harness.tenancy.reassign(&person(1), org, member.id, to(2, true)).await), ["to_user_id"]);
    assert_eq!(invalid_fields(harness.tenancy.reassign(&person(1), org, member.id, to(9, true)).await), ["to_user_id"]);
    harness.tenancy.reassign(&person(1), org, member.id, to(3, true)).await.unwrap();
    harness.tenancy.remove_member(&person(1), org, member.id, any()).await.unwrap();
    assert_eq!(code(harness.tenancy.organization(&person(2), org).await), "organization_not_found");
    assert_eq!(harness.titles(3, org, &[("status", "open")]).await.len(), 3);
    // They can become a member again.
    harness.join(org, 2, "viewer", None).await;
}

#[tokio::test]
async fn nobody_raises_their_own_rights_or_takes_over_from_superiors() {
    let harness = deals().await;
    let org = harness.org().await;
    let top = harness.team_of(org, "Top", None).await;
    let admin = harness.join(org, 2, "admin", None).await.id;
    let viewer = harness.join(org, 3, "viewer", None).await.id;
    let owner = harness.tenancy.own_membership(&person(1), org).await.unwrap().member.id;
    for patch in [
        MemberPatch { team_id: Some(Some(top)), leads_team: Some(true), ..MemberPatch::default() },
        MemberPatch { commission_bp: Some(10_000), ..MemberPatch::default() },
    ] {
        assert_eq!(code(harness.tenancy.change_member(&person(2), org, admin, patch, any()).await), "escalation");
    }
    // An empty change requires the same permission.
    for id in [viewer, admin, owner] {
        let outcome = harness.tenancy.change_member(&person(3), org, id, MemberPatch::default(), any()).await;
        assert_eq!(code(outcome), "not_granted");
    }
    let reassign = Reassign { to_user_id: UserId(2), include_creator: true };
    assert_eq!(code(harness.tenancy.reassign(&person(2), org, owner, reassign).await), "escalation");
    let permissions = ["member.read", "member.delete", "deal.read:own"].map(str::to_owned).to_vec();
    let role = NewRole { name: "Assistant".into(), permissions };
    let role_id = harness.tenancy.create_role(&person(1), org, role).await.unwrap().id;
    let new = NewMember { user_id: UserId(4), role_id, team_id: None, leads_team: false };
    harness.add_active_member(org, new).await;
    let reassign = Reassign { to_user_id: UserId(4), include_creator: true };
    assert_eq!(code(harness.tenancy.reassign(&person(4), org, viewer, reassign).await), "escalation");
    // Commission rates are visible with a permission, and to the members themselves.
    let rate = MemberPatch { commission_bp: Some(100), ..MemberPatch::default() };
    harness.tenancy.change_member(&person(1), org, viewer, rate, any()).await.unwrap();
    let rates = async |user| {
        let members = harness.tenancy.members(&person(user), org, page()).await.unwrap().results;
        members.into_iter().map(|member| member.commission_bp).collect::<Vec<_>>()
    };
    assert_eq!(rates(1).await, [Some(0), Some(0), Some(100), Some(0)]);
    assert_eq!(rates(3).await, [None, None, Some(100), None]);
    // A role of former members can be deleted.
    let role = NewRole {
        name: "Seller".into(),
        permissions: vec!["client.read".into(), "client.create".into(), "deal.create".into()],
    };
    let role_id = harness.tenancy.create_role(&person(1), org, role).await.unwrap().id;
    let new = NewMember { user_id: UserId(5), role_id, team_id: None, leads_team: false };
    let former = harness.add_active_member(org, new).await.id;
    let client = harness.client_of(5, org, "x").await.id;
    harness.deal_of(5, org, client, "1").await;
    let to = Reassign { to_user_id: UserId(1), include_creator: true };
    harness.tenancy.reassign(&person(1), org, former, to).await.unwrap();
    harness.tenancy.remove_member(&person(1), org, former, any()).await.unwrap();
    assert_eq!(harness.db.query_i64("SELECT COUNT(*) FROM deals_member WHERE status = 'gone'").await, 1);
    harness.tenancy.delete_role(&person(1), org, role_id, any()).await.unwrap();
}
