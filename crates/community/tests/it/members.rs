use guildhall_community::{GroupPatch, Groups, Joined, MemberFilter, Members, Moderation, NewGroup, Role};
use guildhall_kernel::{Clock, CursorQuery, IfMatch, UserId, UserRemoval};

use crate::{
    fixtures::{join, members, page},
    harness::{code, community, named, person, with_connections},
};

#[tokio::test]
async fn joining_a_public_group_is_idempotent() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    assert_eq!(join(&harness, 2, hall).await.unwrap(), Joined::Member { new: true });
    assert_eq!(join(&harness, 2, hall).await.unwrap(), Joined::Member { new: false });
    assert_eq!(members(&harness, hall).await, [(1, Role::Owner), (2, Role::Member)]);
    assert_eq!(harness.groups.group(Some(person(3)), hall).await.unwrap().member_count, Some(2));
    assert!(harness.groups.leave(&person(2), hall).await.unwrap());
    assert!(!harness.groups.leave(&person(2), hall).await.unwrap());
    harness.assert_counters().await;
}

#[tokio::test]
async fn concurrent_joins_create_one_membership_each() {
    let harness = with_connections(8).await;
    let hall = harness.group_of(1, named("hall")).await;
    let joins = (2..=51).flat_map(|user| [join(&harness, user, hall), join(&harness, user, hall)]);
    let outcomes = futures_util::future::join_all(joins).await;
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Joined::Member { new: true }))).count();
    let again = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Joined::Member { new: false }))).count();
    assert_eq!((new, again), (50, 50));
    assert_eq!(harness.db.count_rows("community_membership").await, 51);
    harness.assert_counters().await;
}

#[tokio::test]
async fn concurrent_joins_do_not_exceed_the_maximum_number_of_members() {
    let harness = with_connections(8).await;
    let small = harness.group_of(1, NewGroup { max_members: Some(10), ..named("small") }).await;
    let outcomes = futures_util::future::join_all((2..=40).map(|user| join(&harness, user, small))).await;
    let refused = outcomes.into_iter().filter(Result::is_err).map(code).collect::<Vec<_>>();
    assert_eq!(refused.len(), 30);
    assert!(refused.iter().all(|code| code == "group_full"), "{refused:?}");
    assert_eq!(members(&harness, small).await.len(), 10);
    harness.assert_counters().await;
    let patch = GroupPatch { max_members: Some(Some(9)), ..GroupPatch::default() };
    assert_eq!(code(harness.groups.change_group(&person(1), small, patch, IfMatch::default()).await), "invalid");
    let patch = GroupPatch { max_members: Some(None), ..GroupPatch::default() };
    harness.groups.change_group(&person(1), small, patch, IfMatch::default()).await.unwrap();
    assert_eq!(join(&harness, 50, small).await.unwrap(), Joined::Member { new: true });
}

#[tokio::test]
async fn concurrent_departures_of_moderators_keep_one_owner() {
    for _ in 0..5 {
        let harness = with_connections(8).await;
        let hall = harness.group_of(1, named("hall")).await;
        harness.add_moderator_to(hall, 2).await;
        harness.add_moderator_to(hall, 3).await;
        harness.add_member(hall, 4).await;
        let (one, two) = (person(1), person(2));
        let (first, second) = tokio::join!(harness.groups.leave(&one, hall), harness.groups.leave(&two, hall));
        assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
        assert_eq!(members(&harness, hall).await, [(3, Role::Owner), (4, Role::Member)]);
    }
}

#[tokio::test]
async fn fault_t4_the_first_to_join_a_group_without_members_becomes_owner() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let owner = async || harness.groups.group(Some(person(9)), hall).await.unwrap().owner.map(|owner| owner.id.0);
    assert_eq!(owner().await, Some(1));
    assert!(harness.groups.leave(&person(1), hall).await.unwrap());
    assert_eq!(owner().await, None);
    join(&harness, 2, hall).await.unwrap();
    join(&harness, 1, hall).await.unwrap();
    assert_eq!(members(&harness, hall).await, [(2, Role::Owner), (1, Role::Member)]);
    assert_eq!(owner().await, Some(2));
    // The same if the account of the only member is removed.
    let den = harness.group_of(5, named("den")).await;
    let removal = guildhall_community::Removal::new(Clock::system());
    harness
        .db
        .write(|tx| {
            let removal = removal.clone();
            async move { removal.release(&tx, UserId(5), None).await }
        })
        .await
        .unwrap();
    join(&harness, 6, den).await.unwrap();
    assert_eq!(members(&harness, den).await, [(6, Role::Owner)]);
    harness.groups.delete_group(&person(6), den, IfMatch::default()).await.unwrap();
}

#[tokio::test]
async fn a_group_with_members_always_has_a_moderator() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    assert_eq!(code(harness.groups.leave(&person(1), hall).await), "last_moderator");
    harness.groups.add_moderator(&person(1), hall, UserId(2)).await.unwrap();
    harness.groups.leave(&person(1), hall).await.unwrap();
    assert_eq!(members(&harness, hall).await, [(2, Role::Owner)], "the longest-standing moderator becomes owner");
    join(&harness, 1, hall).await.unwrap();
    join(&harness, 3, hall).await.unwrap();
    assert_eq!(code(harness.groups.transfer(&person(1), hall, UserId(1)).await), "not_group_owner");
    assert_eq!(code(harness.groups.transfer(&person(2), hall, UserId(9)).await), "not_in_group");
    harness.groups.transfer(&person(2), hall, UserId(1)).await.unwrap();
    assert_eq!(members(&harness, hall).await, [(2, Role::Moderator), (1, Role::Owner), (3, Role::Member)]);
    harness.groups.leave(&person(2), hall).await.unwrap();
    harness.groups.leave(&person(3), hall).await.unwrap();
    harness.groups.leave(&person(1), hall).await.unwrap();
    assert_eq!(members(&harness, hall).await, [], "the last member can leave");
    harness.assert_counters().await;
}

#[tokio::test]
async fn moderators_promote_members_and_act_on_members_only() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    for user in [2, 3, 4] {
        harness.add_member(hall, user).await;
    }
    assert_eq!(code(harness.groups.add_moderator(&person(2), hall, UserId(3)).await), "not_moderator");
    assert_eq!(code(harness.groups.add_moderator(&person(1), hall, UserId(9)).await), "not_in_group");
    harness.groups.add_moderator(&person(1), hall, UserId(2)).await.unwrap();
    let group = harness.groups.add_moderator(&person(2), hall, UserId(3)).await.unwrap();
    assert_eq!(group.moderators, [UserId(1), UserId(2), UserId(3)]);
    assert_eq!(code(harness.groups.remove_member(&person(2), hall, UserId(3)).await), "not_above_peer");
    assert_eq!(code(harness.groups.remove_member(&person(2), hall, UserId(1)).await), "owner_stays");
    assert_eq!(code(harness.groups.remove_moderator(&person(2), hall, UserId(1)).await), "owner_stays");
    harness.groups.remove_moderator(&person(2), hall, UserId(3)).await.unwrap();
    assert_eq!(code(harness.groups.remove_moderator(&person(2), hall, UserId(3)).await), "not_found");
    harness.groups.remove_member(&person(2), hall, UserId(3)).await.unwrap();
    assert_eq!(code(harness.groups.remove_member(&person(2), hall, UserId(3)).await), "not_found");
    assert_eq!(code(harness.groups.remove_member(&person(4), hall, UserId(2)).await), "not_moderator");
    assert_eq!(code(harness.groups.remove_member(&person(9), hall, UserId(2)).await), "not_member");
    join(&harness, 3, hall).await.unwrap();
    let log = harness.moderation.log(&person(1), hall, CursorQuery::newest(50)).await.unwrap();
    let actions: Vec<&str> = log.results.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["removed", "unmade_moderator", "made_moderator", "made_moderator"]);
    assert_eq!(code(harness.moderation.log(&person(3), hall, CursorQuery::newest(50)).await), "not_moderator");
    harness.assert_counters().await;
}

#[tokio::test]
async fn members_are_found_by_a_prefix_of_their_names() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    for user in [2, 20, 21, 30] {
        harness.add_member(hall, user).await;
    }
    let member = person(30);
    let search = |text: &str, role| {
        let filter = MemberFilter { search: Some(text.to_owned()), role };
        harness.groups.members(&member, hall, filter, page())
    };
    let ids = |page: guildhall_kernel::Page<guildhall_community::Member>| -> Vec<i64> {
        page.results.into_iter().map(|member| member.user.unwrap().id.0).collect()
    };
    assert_eq!(ids(search("PERSON-2", None).await.unwrap()), [2, 20, 21]);
    assert_eq!(ids(search("person-3", None).await.unwrap()), [30]);
    assert_eq!(ids(search("person", Some(Role::Owner)).await.unwrap()), [1]);
    assert_eq!(ids(search("%", None).await.unwrap()), Vec::<i64>::new());
}
