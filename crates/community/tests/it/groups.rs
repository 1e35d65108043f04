use guildhall_community::{
    GroupFilter, GroupId, GroupPatch, Groups, MemberFilter, Members, MembershipFilter, NewGroup,
};
use guildhall_kernel::{Caller, IfMatch, PageQuery, UserId};

use crate::{
    fixtures::page,
    harness::{Harness, all, code, community, listed, named, person, private, public, staff, with_connections},
};

async fn names(harness: &Harness, caller: &Caller, filter: GroupFilter) -> Vec<String> {
    let page = harness.groups.groups(Some(*caller), filter, PageQuery::new(1, 100).ordered("name")).await.unwrap();
    assert_eq!(usize::try_from(page.count).unwrap(), page.results.len());
    page.results.into_iter().map(|group| group.name).collect()
}

#[tokio::test]
async fn the_creator_of_a_group_is_member_and_moderator() {
    let harness = community().await;
    let group = harness.groups.create_group(&person(1), named("  Rust People ")).await.unwrap();
    assert_eq!(
        (group.name.as_str(), group.slug.as_str(), group.category.as_str()),
        ("Rust People", "rust-people", "general")
    );
    assert!(group.is_member && group.is_moderator);
    assert_eq!((group.member_count, group.moderators.as_slice()), (Some(1), &[UserId(1)][..]));
    assert_eq!(group.creator.as_ref().unwrap().username, "person-1");
    assert!(group.image_url.starts_with("https://example.org/api/community/pictures/RP-"));
    assert_eq!(harness.groups.group(Some(person(1)), group.id).await.unwrap(), group);
    assert_eq!(harness.groups.groups(Some(person(1)), all(), PageQuery::new(1, 20)).await.unwrap().results, [group]);
}

#[tokio::test]
async fn a_group_without_its_owner_is_not_stored() {
    let harness = community().await;
    // A user without a row in the user table: storing the membership fails, and the group is rolled back.
    assert_eq!(code(harness.groups.create_group(&person(99), named("x")).await), "conflict");
    assert_eq!(harness.db.count_rows("community_group").await, 0);
}

#[tokio::test]
async fn groups_can_share_a_name_but_not_a_slug() {
    let harness = with_connections(4).await;
    let (one, two) = (person(1), person(2));
    let (first, second) = tokio::join!(
        harness.groups.create_group(&one, named("Readers")),
        harness.groups.create_group(&two, named("Readers"))
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.name, second.name), ("Readers".into(), "Readers".into()));
    assert_ne!(first.slug, second.slug);
}

#[tokio::test]
async fn groups_are_read_by_id_as_far_as_they_are_visible() {
    let harness = community().await;
    let open = harness.groups.create_group(&person(1), named("Hall")).await.unwrap();
    let hidden = harness.groups.create_group(&person(1), private("Den")).await.unwrap();
    let ids = vec![open.id, hidden.id, GroupId(4711)];
    for (user, expected) in [(1, vec![open.id, hidden.id]), (2, vec![open.id])] {
        let mut found = harness.groups.groups_by_id(Some(person(user)), ids.clone()).await.unwrap();
        found.sort_by_key(|group| group.id);
        assert_eq!(found.iter().map(|group| group.id).collect::<Vec<_>>(), expected);
        assert_eq!(found[0], harness.groups.group(Some(person(user)), open.id).await.unwrap());
    }
    assert!(harness.groups.groups_by_id(Some(person(1)), Vec::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn invalid_input_stores_nothing() {
    let harness = community().await;
    for new in [
        named(""),
        named("  "),
        named("a\nb"),
        named(&"x".repeat(201)),
        NewGroup { category: String::new(), ..named("x") },
        NewGroup { category: "x".repeat(51), ..named("x") },
        NewGroup { description: "x".repeat(10_001), ..named("x") },
        NewGroup { description: "\u{1b}[2J".into(), ..named("x") },
    ] {
        assert_eq!(code(harness.groups.create_group(&person(1), new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.db.count_rows("community_group").await, 0);
}

#[tokio::test]
async fn a_private_group_does_not_exist_for_outsiders() {
    let harness = community().await;
    let den = harness.groups.create_group(&person(1), private("den")).await.unwrap();
    harness.groups.create_group(&person(1), named("hall")).await.unwrap();
    assert_eq!(names(&harness, &person(2), all()).await, ["hall"]);
    assert_eq!(code(harness.groups.group(Some(person(2)), den.id).await), "group_not_found");
    assert_eq!(code(harness.groups.delete_group(&person(2), den.id, IfMatch::default()).await), "group_not_found");
    let search = GroupFilter { search: Some("den".into()), ..all() };
    assert_eq!(names(&harness, &person(2), search.clone()).await, Vec::<String>::new());
    assert_eq!(names(&harness, &person(1), search).await, ["den"]);
    assert_eq!(names(&harness, &staff(3), all()).await, ["den", "hall"]);
}

#[tokio::test]
async fn anonymous_reading_requires_the_setting() {
    let restricted = community().await;
    let hall = restricted.groups.create_group(&person(1), named("hall")).await.unwrap();
    assert_eq!(code(restricted.groups.groups(None, all(), PageQuery::new(1, 20)).await), "not_authenticated");
    assert_eq!(code(restricted.groups.group(None, hall.id).await), "not_authenticated");

    let public = public().await;
    let hall = public.groups.create_group(&person(1), named("hall")).await.unwrap();
    let den = public.groups.create_group(&person(1), private("den")).await.unwrap();
    let seen = public.groups.groups(None, all(), PageQuery::new(1, 20)).await.unwrap();
    assert_eq!((seen.count, seen.results[0].id), (1, hall.id));
    let seen = public.groups.group(None, hall.id).await.unwrap();
    assert!(!seen.is_member && !seen.is_moderator && seen.member_count == Some(1));
    assert_eq!(code(public.groups.group(None, den.id).await), "group_not_found");
}

#[tokio::test]
async fn the_list_can_be_filtered() {
    let harness = community().await;
    for (owner, name, category) in [(1, "Äpfel", "food"), (1, "Birnen", "food"), (2, "birken", "trees")] {
        let new = NewGroup { category: category.into(), ..named(name) };
        harness.groups.create_group(&person(owner), new).await.unwrap();
    }
    let me = person(1);
    let category = GroupFilter { category: Some("food".into()), ..all() };
    assert_eq!(names(&harness, &me, category).await, ["Birnen", "Äpfel"]);
    let search = |text: &str| GroupFilter { search: Some(text.into()), ..all() };
    assert_eq!(names(&harness, &me, search("BIR")).await, ["birken", "Birnen"]);
    assert_eq!(names(&harness, &me, search("äp")).await, ["Äpfel"]);
    assert_eq!(names(&harness, &me, search("%")).await, Vec::<String>::new());
    assert_eq!(names(&harness, &me, GroupFilter { joined: Some(true), ..all() }).await, ["Birnen", "Äpfel"]);
    assert_eq!(names(&harness, &me, GroupFilter { joined: Some(false), ..all() }).await, ["birken"]);
}

#[tokio::test]
async fn deleting_a_group_deletes_its_memberships() {
    let harness = community().await;
    let group = harness.groups.create_group(&person(1), named("hall")).await.unwrap();
    let other = harness.groups.create_group(&person(2), named("other")).await.unwrap();
    harness.add_moderator_to(group.id, 2).await;
    harness.add_member(group.id, 3).await;
    harness.add_member(group.id, 4).await;
    let seen = harness.groups.group(Some(person(3)), group.id).await.unwrap();
    assert_eq!((seen.member_count, seen.moderators.as_slice()), (Some(4), &[UserId(1), UserId(2)][..]));
    assert!(seen.is_member && !seen.is_moderator);
    for user in [2, 3, 5] {
        let result = harness.groups.delete_group(&person(user), group.id, IfMatch::default()).await;
        assert_eq!(code(result), "not_group_owner");
    }
    harness.groups.delete_group(&person(1), group.id, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.groups.group(Some(person(1)), group.id).await), "group_not_found");
    assert_eq!(harness.db.count_rows("community_membership").await, 1);
    assert_eq!(code(harness.groups.delete_group(&person(1), group.id, IfMatch::default()).await), "group_not_found");
    harness.groups.delete_group(&staff(9), other.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.db.count_rows("community_group").await, 0);
    let next = harness.groups.create_group(&person(1), named("hall")).await.unwrap();
    assert!(next.id > other.id, "ids are not reused");
}

#[tokio::test]
async fn deleting_a_user_keeps_their_groups_without_memberships() {
    let harness = community().await;
    let group = harness.groups.create_group(&person(1), named("hall")).await.unwrap();
    harness.db.sql("DELETE FROM people WHERE id = 1").await.unwrap();
    let group = harness.groups.group(Some(person(2)), group.id).await.unwrap();
    assert_eq!((group.creator, group.moderators), (None, Vec::new()));
}

#[tokio::test]
async fn database_constraints_reject_invalid_memberships() {
    let harness = community().await;
    harness.groups.create_group(&person(1), named("hall")).await.unwrap();
    for values in [
        "(1, 1, 'member', 0)",
        "(1, 2, 'king', 0)",
        "(1, 2, 'owner', 0)",
        "(1, 99, 'member', 0)",
        "(99, 2, 'member', 0)",
    ] {
        let insert = format!("INSERT INTO community_membership (group_id, user_id, role, joined_at) VALUES {values}");
        assert!(harness.db.sql(&insert).await.is_err(), "{values}");
    }
}

#[tokio::test]
async fn the_number_of_queries_does_not_depend_on_the_length_of_the_list() {
    let harness = community().await;
    let mut statements = Vec::new();
    for n in 0..30 {
        harness.groups.create_group(&person(1 + n % 9), named(&format!("group {n}"))).await.unwrap();
        if n == 1 || n == 29 {
            let before = harness.db.statements();
            harness.groups.groups(Some(person(1)), all(), PageQuery::new(1, 100)).await.unwrap();
            statements.push(harness.db.statements() - before);
        }
    }
    // The page, the moderators and the courses; people are loaded by the host.
    assert_eq!(statements, [3, 3]);
}

#[tokio::test]
async fn an_unknown_group_is_not_found() {
    let harness = community().await;
    for id in [0, -1, 7, i64::MAX] {
        assert_eq!(code(harness.groups.group(Some(person(1)), GroupId(id)).await), "group_not_found");
    }
}

#[tokio::test]
async fn a_hidden_group_does_not_affect_slugs_of_other_groups() {
    let harness = community().await;
    let hidden = harness.groups.create_group(&person(1), private("Layoffs 2026")).await.unwrap();
    let public = harness.groups.create_group(&person(2), named("Layoffs 2026")).await.unwrap();
    assert_eq!(public.slug, "layoffs-2026");
    assert!(hidden.slug.starts_with("layoffs-2026-"));
}

#[tokio::test]
async fn outsiders_see_only_public_details_of_a_listed_group() {
    let harness = community().await;
    let new = NewGroup { description: "books".into(), max_members: Some(9), ..listed("club") };
    let club = harness.group_of(1, new).await;
    let details = harness.groups.group(Some(person(2)), club).await.unwrap();
    assert_eq!((details.name.as_str(), details.description.as_str()), ("club", "books"));
    assert_eq!(
        (details.member_count, details.post_count, details.max_members, details.creator),
        (None, None, None, None)
    );
    assert!(details.moderators.is_empty() && details.courses.is_empty());
    assert_eq!(code(harness.groups.members(&person(2), club, MemberFilter::default(), page()).await), "not_member");
    let rows = MembershipFilter { group: Some(club), user: None };
    assert_eq!(harness.groups.memberships(&person(2), rows.clone(), page()).await.unwrap().count, 0);
    assert_eq!(harness.groups.memberships(&person(1), rows, page()).await.unwrap().count, 1);
    let anonymous = public().await;
    let club = anonymous.group_of(1, listed("club")).await;
    assert_eq!(
        code(anonymous.groups.group(None, club).await),
        "group_not_found",
        "listed groups are visible to signed-in users only"
    );
    assert_eq!(harness.groups.group(Some(person(1)), details.id).await.unwrap().member_count, Some(1));
}

#[tokio::test]
async fn moderators_cannot_change_fields_reserved_to_the_owner() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_moderator_to(hall, 2).await;
    harness.add_member(hall, 3).await;
    let rename = |name: &str| GroupPatch { name: Some(name.into()), ..GroupPatch::default() };
    let hide = GroupPatch { is_private: Some(true), ..GroupPatch::default() };
    let changed =
        harness.groups.change_group(&person(2), hall, rename("Great Hall"), IfMatch::default()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.slug.as_str()), ("Great Hall", "hall"), "the slug does not change");
    assert_eq!(
        code(harness.groups.change_group(&person(2), hall, hide.clone(), IfMatch::default()).await),
        "not_group_owner"
    );
    assert_eq!(
        code(harness.groups.change_group(&person(3), hall, rename("x"), IfMatch::default()).await),
        "not_moderator"
    );
    assert_eq!(
        code(harness.groups.change_group(&person(9), hall, rename("x"), IfMatch::default()).await),
        "not_member"
    );
    assert_eq!(code(harness.groups.change_group(&person(1), hall, rename(""), IfMatch::default()).await), "invalid");
    let stale = IfMatch::only(changed.updated_at.into());
    harness.groups.change_group(&person(1), hall, hide, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.groups.change_group(&person(1), hall, rename("x"), stale).await), "stale");
    assert_eq!(code(harness.groups.group(Some(person(9)), hall).await), "group_not_found");
    let listing = GroupPatch { is_listed: Some(true), ..GroupPatch::default() };
    harness.groups.change_group(&person(1), hall, listing, IfMatch::default()).await.unwrap();
    assert!(harness.groups.group(Some(person(9)), hall).await.unwrap().is_listed);
}
