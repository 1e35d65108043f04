use std::time::Duration;

use guildhall_community::{
    Comments, Follows, GroupPatch, Groups, InviteStatus, Invites, JoinRequests, Joined, MemberFilter, Members,
    MembershipFilter, Moderation, NewBan, NewComment, NewGroup, NewInvite, NewPost, Polls, Posts, Reactions, Role,
    Settings,
};
use guildhall_kernel::{Clock, CursorQuery, IfMatch, PageQuery, UserId, UserRemoval};
use sea_orm::ConnectionTrait;

use crate::harness::{
    Harness, code, community, listed, named, person, post_in, private, public, staff, with_connections,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn page() -> PageQuery {
    PageQuery::new(1, 100)
}

fn for_person(id: i64) -> NewInvite {
    NewInvite { user_id: Some(Some(UserId(id))), ..NewInvite::default() }
}

async fn join(
    harness: &Harness,
    user: i64,
    group: guildhall_community::GroupId,
) -> Result<Joined, guildhall_community::Error> {
    harness.join(&person(user), group, None, String::new()).await
}

async fn members(harness: &Harness, group: guildhall_community::GroupId) -> Vec<(i64, Role)> {
    let page = harness.members(&staff(60), group, MemberFilter::default(), page()).await.unwrap();
    page.results.into_iter().map(|member| (member.user.unwrap().id.0, member.role)).collect()
}

#[tokio::test]
async fn joining_a_public_group_is_idempotent() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    assert_eq!(join(&harness, 2, hall).await.unwrap(), Joined::Member { new: true });
    assert_eq!(join(&harness, 2, hall).await.unwrap(), Joined::Member { new: false });
    assert_eq!(members(&harness, hall).await, [(1, Role::Owner), (2, Role::Member)]);
    assert_eq!(harness.group(Some(person(3)), hall).await.unwrap().member_count, Some(2));
    assert!(harness.leave(&person(2), hall).await.unwrap());
    assert!(!harness.leave(&person(2), hall).await.unwrap());
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
    assert_eq!(harness.count_rows("community_membership").await, 51);
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
    assert_eq!(code(harness.change_group(&person(1), small, patch, IfMatch::default()).await), "invalid");
    let patch = GroupPatch { max_members: Some(None), ..GroupPatch::default() };
    harness.change_group(&person(1), small, patch, IfMatch::default()).await.unwrap();
    assert_eq!(join(&harness, 50, small).await.unwrap(), Joined::Member { new: true });
}

#[tokio::test]
async fn a_private_group_is_joined_by_request_or_invite() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    let club = harness.group_of(1, listed("club")).await;
    assert_eq!(code(join(&harness, 2, den).await), "group_not_found");
    let Joined::Requested { request_id } = join(&harness, 2, club).await.unwrap() else {
        panic!("joined without approval")
    };
    assert_eq!(join(&harness, 2, club).await.unwrap(), Joined::Requested { request_id });
    assert_eq!(harness.requests(&person(1), club, page()).await.unwrap().count, 1);
    assert_eq!(code(harness.requests(&person(2), club, page()).await), "not_member");
    assert_eq!(code(harness.decide_request(&person(2), club, request_id, true).await), "not_member");
    let other = harness.group_of(1, named("other")).await;
    assert_eq!(code(harness.decide_request(&person(1), other, request_id, true).await), "not_found");
    harness.decide_request(&person(1), club, request_id, false).await.unwrap();
    assert_eq!(code(harness.decide_request(&person(1), club, request_id, true).await), "already_decided");
    // After a denial, the user can request again and withdraw the request.
    let Joined::Requested { request_id: second } = join(&harness, 2, club).await.unwrap() else {
        panic!("joined without approval")
    };
    assert_ne!(second, request_id);
    assert!(harness.leave(&person(2), club).await.unwrap());
    assert_eq!(code(harness.decide_request(&person(1), club, second, true).await), "already_decided");
    let Joined::Requested { request_id: third } = join(&harness, 2, club).await.unwrap() else {
        panic!("joined without approval")
    };
    harness.decide_request(&person(1), club, third, true).await.unwrap();
    assert!(harness.group(Some(person(2)), club).await.unwrap().is_member);
    harness.assert_counters().await;
}

#[tokio::test]
async fn an_invite_admits_only_its_recipient_and_respects_its_limits() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    assert_eq!(code(harness.invite(&person(2), den, for_person(3)).await), "group_not_found");
    harness.add_member(den, 2).await;
    assert_eq!(code(harness.invite(&person(2), den, for_person(3)).await), "not_moderator");

    let personal = harness.invite(&person(1), den, for_person(3)).await.unwrap();
    assert!(personal.url.ends_with(&format!("/invites/{}/", personal.token)));
    assert_eq!(code(harness.accept_invite(&person(4), personal.token.clone()).await), "invite_for_other");
    assert_eq!(harness.invitations(&person(3)).await.unwrap()[0].group_name, "den");
    assert!(harness.accept_invite(&person(3), personal.token.clone()).await.unwrap().is_member);
    assert!(
        harness.accept_invite(&person(3), personal.token).await.unwrap().is_member,
        "accepting twice changes nothing"
    );
    assert!(harness.invitations(&person(3)).await.unwrap().is_empty());

    // A user with a personal invite needs no token.
    harness.invite(&person(1), den, for_person(4)).await.unwrap();
    assert_eq!(join(&harness, 4, den).await.unwrap(), Joined::Member { new: true });

    let link = NewInvite { max_uses: Some(2), expires_days: Some(1), ..NewInvite::default() };
    let link = harness.invite(&person(1), den, link).await.unwrap();
    for user in [5, 6] {
        harness.accept_invite(&person(user), link.token.clone()).await.unwrap();
    }
    assert_eq!(code(harness.accept_invite(&person(7), link.token.clone()).await), "invite_spent");
    let listed = harness.invites(&person(1), den, page()).await.unwrap().results;
    assert_eq!((listed[0].status, listed[0].uses), (InviteStatus::Accepted, 2));

    let late = harness.invite(&person(1), den, NewInvite::default()).await.unwrap();
    harness.advance_clock(DAY * 8);
    assert_eq!(code(harness.accept_invite(&person(7), late.token).await), "invite_spent");
    assert_eq!(harness.invites(&person(1), den, page()).await.unwrap().results[0].status, InviteStatus::Expired);

    let revoked = harness.invite(&person(1), den, NewInvite::default()).await.unwrap();
    harness.revoke_invite(&person(1), den, revoked.id).await.unwrap();
    assert_eq!(code(harness.accept_invite(&person(7), revoked.token).await), "invite_spent");
    assert_eq!(code(harness.accept_invite(&person(7), "nonsense".into()).await), "not_found");
    assert_eq!(members(&harness, den).await.len(), 6);
    harness.assert_counters().await;

    // A removed member cannot use what is left of their invite to join again.
    let often = NewInvite { max_uses: Some(5), ..for_person(8) };
    harness.invite(&person(1), den, often).await.unwrap();
    join(&harness, 8, den).await.unwrap();
    harness.remove_member(&person(1), den, UserId(8)).await.unwrap();
    assert_eq!(code(join(&harness, 8, den).await), "group_not_found");
    assert!(harness.invitations(&person(8)).await.unwrap().is_empty());
}

#[tokio::test]
async fn invitations_to_one_address_are_limited() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    let invite = || NewInvite { email: Some(Some("Victim@example.org".into())), ..NewInvite::default() };
    let mut outcomes = Vec::new();
    for _ in 0..7 {
        outcomes.push(code(harness.invite(&person(1), den, invite()).await));
    }
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "ok").count(), 5);
    assert_eq!(outcomes[6], "too_many_invites");
    harness.advance_clock(DAY * 2);
    assert_eq!(code(harness.invite(&person(1), den, invite()).await), "ok");
}

#[tokio::test]
async fn a_hidden_group_does_not_affect_slugs_of_other_groups() {
    let harness = community().await;
    let hidden = harness.create_group(&person(1), private("Layoffs 2026")).await.unwrap();
    let public = harness.create_group(&person(2), named("Layoffs 2026")).await.unwrap();
    assert_eq!(public.slug, "layoffs-2026");
    assert!(hidden.slug.starts_with("layoffs-2026-"));
}

#[tokio::test]
async fn a_request_can_be_withdrawn_after_the_group_was_hidden() {
    let harness = community().await;
    let club = harness.group_of(1, listed("club")).await;
    join(&harness, 2, club).await.unwrap();
    let hide = GroupPatch { is_listed: Some(false), ..GroupPatch::default() };
    harness.change_group(&person(1), club, hide, IfMatch::default()).await.unwrap();
    assert!(harness.leave(&person(2), club).await.unwrap());
    assert_eq!(code(harness.leave(&person(2), club).await), "group_not_found");
    assert_eq!(harness.requests(&person(1), club, page()).await.unwrap().count, 0);
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
        let (first, second) = tokio::join!(harness.leave(&one, hall), harness.leave(&two, hall));
        assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
        assert_eq!(members(&harness, hall).await, [(3, Role::Owner), (4, Role::Member)]);
    }
}

#[tokio::test]
async fn an_email_address_is_invited_case_insensitively() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    let to = |email: &str| NewInvite { email: Some(Some(email.into())), ..NewInvite::default() };
    let first = harness.invite(&person(1), den, to("Person-3@Example.org")).await.unwrap();
    let second = harness.invite(&person(1), den, to("person-3@example.org")).await.unwrap();
    assert_eq!(harness.count_rows("kernel_outbox").await, 2);
    assert_eq!(
        harness.query_i64("SELECT COUNT(*) FROM kernel_outbox WHERE recipient_key = 'person-3@example.org'").await,
        2
    );
    assert_eq!(code(harness.accept_invite(&person(3), first.token).await), "invite_spent", "the second replaces it");
    assert_eq!(code(harness.accept_invite(&person(4), second.token.clone()).await), "invite_for_other");
    assert!(harness.accept_invite(&person(3), second.token).await.unwrap().is_member);
    for invalid in ["", "x", "a@b", "a b@example.org", "@example.org"] {
        assert_eq!(code(harness.invite(&person(1), den, to(invalid)).await), "invalid", "{invalid}");
    }
    let both = NewInvite { user_id: Some(Some(UserId(5))), ..to("a@example.org") };
    assert_eq!(code(harness.invite(&person(1), den, both).await), "invalid");
    assert_eq!(code(harness.invite(&person(1), den, for_person(999)).await), "invalid");
    assert_eq!(code(harness.invite(&person(1), den, for_person(3)).await), "invalid", "already a member");
}

#[tokio::test]
async fn fault_r22_an_invitation_is_sent_to_the_address_as_entered() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    for address in ["Strauß@example.org", "info@fußball.example", "ＡＢＣ@example.org"] {
        let to = NewInvite { email: Some(Some(address.into())), ..NewInvite::default() };
        harness.invite(&person(1), den, to).await.unwrap();
        let sql = format!("SELECT COUNT(*) FROM kernel_outbox WHERE recipient = '{address}'");
        assert_eq!(harness.query_i64(&sql).await, 1, "{address}");
        let shown = harness.invites(&person(1), den, page()).await.unwrap();
        assert_eq!(shown.results[0].email.as_deref(), Some(address));
    }
}

#[tokio::test]
async fn fault_t12_an_explicit_null_does_not_create_an_open_link() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    let read = |json: &str| serde_json::from_str::<NewInvite>(json).unwrap();
    for invalid in [r#"{"user_id": null}"#, r#"{"email": null}"#, r#"{"user_id": null, "email": null}"#] {
        assert_eq!(code(harness.invite(&person(1), den, read(invalid)).await), "invalid", "{invalid}");
    }
    assert_eq!(harness.count_rows("community_invite").await, 0);
    for valid in ["{}", r#"{"user_id": 5}"#, r#"{"user_id": null, "email": "a@example.org"}"#] {
        harness.invite(&person(1), den, read(valid)).await.unwrap();
    }
}

#[tokio::test]
async fn fault_t4_the_first_to_join_a_group_without_members_becomes_owner() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let owner = async || harness.group(Some(person(9)), hall).await.unwrap().owner.map(|owner| owner.id.0);
    assert_eq!(owner().await, Some(1));
    assert!(harness.leave(&person(1), hall).await.unwrap());
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
    harness.delete_group(&person(6), den, IfMatch::default()).await.unwrap();
}

#[tokio::test]
async fn fault_14_groups_posts_and_comments_per_day_are_limited() {
    let settings = Settings { groups_per_day: 2, posts_per_day: 2, comments_per_day: 2, ..Settings::default() };
    let harness = crate::harness::community_with(1, settings, None).await;
    let mut outcomes = Vec::new();
    for n in 0..3 {
        outcomes.push(code(harness.create_group(&person(1), named(&format!("group {n}"))).await));
    }
    assert_eq!(outcomes, ["ok", "ok", "quota_exceeded"]);
    let write = async |user| {
        let new = NewPost { content: "x".into(), ..NewPost::default() };
        harness.create_post(&person(user), new).await
    };
    let post = write(1).await.unwrap().id;
    write(1).await.unwrap();
    assert_eq!(code(write(1).await), "quota_exceeded");
    for expected in ["ok", "ok", "quota_exceeded"] {
        let comment = NewComment { content: "x".into(), parent: None };
        assert_eq!(code(harness.create_comment(&person(1), post, comment).await), expected);
    }
    write(2).await.unwrap();
    harness.advance_clock(DAY + Duration::from_secs(1));
    write(1).await.unwrap();
}

#[tokio::test]
async fn concurrent_uses_of_an_invite_do_not_exceed_its_limit() {
    let harness = with_connections(8).await;
    let den = harness.group_of(1, private("den")).await;
    let link = harness.invite(&person(1), den, NewInvite { max_uses: Some(3), ..NewInvite::default() }).await.unwrap();
    let callers: Vec<_> = (2..=21).map(person).collect();
    let uses = callers.iter().map(|caller| harness.accept_invite(caller, link.token.clone()));
    let outcomes = futures_util::future::join_all(uses).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_eq!(members(&harness, den).await.len(), 4);
    harness.assert_counters().await;
}

#[tokio::test]
async fn a_group_with_members_always_has_a_moderator() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    assert_eq!(code(harness.leave(&person(1), hall).await), "last_moderator");
    harness.add_moderator(&person(1), hall, UserId(2)).await.unwrap();
    harness.leave(&person(1), hall).await.unwrap();
    assert_eq!(members(&harness, hall).await, [(2, Role::Owner)], "the longest-standing moderator becomes owner");
    join(&harness, 1, hall).await.unwrap();
    join(&harness, 3, hall).await.unwrap();
    assert_eq!(code(harness.transfer(&person(1), hall, UserId(1)).await), "not_group_owner");
    assert_eq!(code(harness.transfer(&person(2), hall, UserId(9)).await), "not_in_group");
    harness.transfer(&person(2), hall, UserId(1)).await.unwrap();
    assert_eq!(members(&harness, hall).await, [(2, Role::Moderator), (1, Role::Owner), (3, Role::Member)]);
    harness.leave(&person(2), hall).await.unwrap();
    harness.leave(&person(3), hall).await.unwrap();
    harness.leave(&person(1), hall).await.unwrap();
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
    assert_eq!(code(harness.add_moderator(&person(2), hall, UserId(3)).await), "not_moderator");
    assert_eq!(code(harness.add_moderator(&person(1), hall, UserId(9)).await), "not_in_group");
    harness.add_moderator(&person(1), hall, UserId(2)).await.unwrap();
    let group = harness.add_moderator(&person(2), hall, UserId(3)).await.unwrap();
    assert_eq!(group.moderators, [UserId(1), UserId(2), UserId(3)]);
    assert_eq!(code(harness.remove_member(&person(2), hall, UserId(3)).await), "not_above_peer");
    assert_eq!(code(harness.remove_member(&person(2), hall, UserId(1)).await), "owner_stays");
    assert_eq!(code(harness.remove_moderator(&person(2), hall, UserId(1)).await), "owner_stays");
    harness.remove_moderator(&person(2), hall, UserId(3)).await.unwrap();
    assert_eq!(code(harness.remove_moderator(&person(2), hall, UserId(3)).await), "not_found");
    harness.remove_member(&person(2), hall, UserId(3)).await.unwrap();
    assert_eq!(code(harness.remove_member(&person(2), hall, UserId(3)).await), "not_found");
    assert_eq!(code(harness.remove_member(&person(4), hall, UserId(2)).await), "not_moderator");
    assert_eq!(code(harness.remove_member(&person(9), hall, UserId(2)).await), "not_member");
    join(&harness, 3, hall).await.unwrap();
    let log = harness.log(&person(1), hall, CursorQuery::newest(50)).await.unwrap();
    let actions: Vec<&str> = log.results.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["removed", "unmade_moderator", "made_moderator", "made_moderator"]);
    assert_eq!(code(harness.log(&person(3), hall, CursorQuery::newest(50)).await), "not_moderator");
    harness.assert_counters().await;
}

#[tokio::test]
async fn a_banned_user_cannot_join_until_the_ban_ends() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let club = harness.group_of(1, listed("club")).await;
    let den = harness.group_of(1, private("den")).await;
    harness.add_member(hall, 2).await;
    let ban = |days| NewBan { user_id: UserId(2), reason: "spam".into(), days };
    let created = harness.ban(&person(1), hall, ban(Some(3))).await.unwrap();
    assert!(created.until.is_some() && created.reason == "spam");
    assert_eq!(members(&harness, hall).await, [(1, Role::Owner)]);
    assert_eq!(code(join(&harness, 2, hall).await), "banned");
    assert_eq!(code(harness.invite(&person(1), hall, for_person(2)).await), "invalid");
    let link = harness.invite(&person(1), hall, NewInvite::default()).await.unwrap();
    assert_eq!(code(harness.accept_invite(&person(2), link.token.clone()).await), "banned");
    harness.advance_clock(DAY * 4);
    assert_eq!(join(&harness, 2, hall).await.unwrap(), Joined::Member { new: true });

    harness.invite(&person(1), den, for_person(2)).await.unwrap();
    harness.ban(&person(1), den, ban(None)).await.unwrap();
    assert_eq!(code(join(&harness, 2, den).await), "group_not_found", "the ban has revoked the invite");
    join(&harness, 2, club).await.unwrap();
    harness.ban(&person(1), club, ban(None)).await.unwrap();
    assert_eq!(code(join(&harness, 2, club).await), "banned");
    assert_eq!(harness.requests(&person(1), club, page()).await.unwrap().count, 0);
    assert_eq!(harness.bans(&person(1), club, page()).await.unwrap().count, 1);
    harness.unban(&person(1), club, UserId(2)).await.unwrap();
    assert!(matches!(join(&harness, 2, club).await.unwrap(), Joined::Requested { .. }));
    assert_eq!(code(harness.unban(&person(1), club, UserId(2)).await), "not_found");
    assert_eq!(code(harness.ban(&person(1), hall, NewBan { user_id: UserId(1), ..ban(None) }).await), "invalid");
    assert_eq!(code(harness.ban(&person(1), hall, NewBan { user_id: UserId(999), ..ban(None) }).await), "invalid");
    harness.assert_counters().await;
}

#[tokio::test]
async fn outsiders_see_only_public_details_of_a_listed_group() {
    let harness = community().await;
    let new = NewGroup { description: "books".into(), max_members: Some(9), ..listed("club") };
    let club = harness.group_of(1, new).await;
    let details = harness.group(Some(person(2)), club).await.unwrap();
    assert_eq!((details.name.as_str(), details.description.as_str()), ("club", "books"));
    assert_eq!(
        (details.member_count, details.post_count, details.max_members, details.creator),
        (None, None, None, None)
    );
    assert!(details.moderators.is_empty() && details.courses.is_empty());
    assert_eq!(code(harness.members(&person(2), club, MemberFilter::default(), page()).await), "not_member");
    let rows = MembershipFilter { group: Some(club), user: None };
    assert_eq!(harness.memberships(&person(2), rows.clone(), page()).await.unwrap().count, 0);
    assert_eq!(harness.memberships(&person(1), rows, page()).await.unwrap().count, 1);
    let anonymous = public().await;
    let club = anonymous.group_of(1, listed("club")).await;
    assert_eq!(
        code(anonymous.group(None, club).await),
        "group_not_found",
        "listed groups are visible to signed-in users only"
    );
    assert_eq!(harness.group(Some(person(1)), details.id).await.unwrap().member_count, Some(1));
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
        harness.members(&member, hall, filter, page())
    };
    let ids = |page: guildhall_kernel::Page<guildhall_community::Member>| -> Vec<i64> {
        page.results.into_iter().map(|member| member.user.unwrap().id.0).collect()
    };
    assert_eq!(ids(search("PERSON-2", None).await.unwrap()), [2, 20, 21]);
    assert_eq!(ids(search("person-3", None).await.unwrap()), [30]);
    assert_eq!(ids(search("person", Some(Role::Owner)).await.unwrap()), [1]);
    assert_eq!(ids(search("%", None).await.unwrap()), Vec::<i64>::new());
}

#[tokio::test]
async fn moderators_cannot_change_fields_reserved_to_the_owner() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_moderator_to(hall, 2).await;
    harness.add_member(hall, 3).await;
    let rename = |name: &str| GroupPatch { name: Some(name.into()), ..GroupPatch::default() };
    let hide = GroupPatch { is_private: Some(true), ..GroupPatch::default() };
    let changed = harness.change_group(&person(2), hall, rename("Great Hall"), IfMatch::default()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.slug.as_str()), ("Great Hall", "hall"), "the slug does not change");
    assert_eq!(code(harness.change_group(&person(2), hall, hide.clone(), IfMatch::default()).await), "not_group_owner");
    assert_eq!(code(harness.change_group(&person(3), hall, rename("x"), IfMatch::default()).await), "not_moderator");
    assert_eq!(code(harness.change_group(&person(9), hall, rename("x"), IfMatch::default()).await), "not_member");
    assert_eq!(code(harness.change_group(&person(1), hall, rename(""), IfMatch::default()).await), "invalid");
    let stale = IfMatch::only(changed.updated_at.into());
    harness.change_group(&person(1), hall, hide, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.change_group(&person(1), hall, rename("x"), stale).await), "stale");
    assert_eq!(code(harness.group(Some(person(9)), hall).await), "group_not_found");
    let listing = GroupPatch { is_listed: Some(true), ..GroupPatch::default() };
    harness.change_group(&person(1), hall, listing, IfMatch::default()).await.unwrap();
    assert!(harness.group(Some(person(9)), hall).await.unwrap().is_listed);
}

#[tokio::test]
async fn the_moderation_log_is_immutable_and_deleted_with_its_group() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    harness.remove_member(&person(1), hall, UserId(2)).await.unwrap();
    assert!(harness.sql("UPDATE community_moderation SET action = 'nothing'").await.is_err());
    assert!(harness.sql("DELETE FROM community_moderation").await.is_err());
    harness.sql("DELETE FROM people WHERE id = 2").await.unwrap();
    assert_eq!(harness.count_rows("community_moderation").await, 1, "deleting a user keeps the log");
    harness.delete_group(&person(1), hall, IfMatch::default()).await.unwrap();
    assert_eq!(harness.count_rows("community_moderation").await, 0);
}

#[tokio::test]
async fn removing_a_user_keeps_counters_correct() {
    use guildhall_community::{NewPoll, PostId, Removal, Visibility, Vote};

    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    for user in [2, 3] {
        harness.add_member(hall, user).await;
    }
    let poll = NewPoll { options: vec!["a".into(), "b".into()], is_multiple: false, hours: None };
    let poll_post = NewPost { poll: Some(poll), ..post_in(hall, "which?") };
    let poll_post: PostId = harness.create_post(&person(3), poll_post).await.unwrap().id;
    for user in [2, 3] {
        harness.vote(&person(user), poll_post, Vote { options: vec![0] }).await.unwrap();
        harness.react(&person(user), poll_post, "like".into()).await.unwrap();
    }
    let comment = NewComment { content: "hm".into(), parent: None };
    let comment = harness.create_comment(&person(2), poll_post, comment).await.unwrap().id;
    harness.like_comment(&person(2), comment, Some(true)).await.unwrap();
    let secret = NewPost { visibility: Some(Visibility::Private), ..post_in(hall, "to myself") };
    harness.create_post(&person(2), secret).await.unwrap();
    harness.follow(&person(2), UserId(3), true).await.unwrap();
    harness.follow(&person(3), UserId(2), true).await.unwrap();

    let removal = Removal::new(Clock::system());
    let removal = &removal;
    harness
        .db
        .write(|tx| async move {
            let (name, data) = removal.export(tx.conn(), UserId(2)).await.unwrap();
            assert_eq!(name, "community");
            assert_eq!(data["posts"].as_array().unwrap().len(), 1);
            removal.release(&tx, UserId(2), None).await.unwrap();
            tx.conn().execute_unprepared("DELETE FROM people WHERE id = 2").await.map(|_| ())
        })
        .await
        .unwrap();
    let post = harness.post(Some(person(3)), poll_post).await.unwrap();
    assert_eq!(post.reactions["like"], 1);
    assert_eq!(post.poll.unwrap().options[0].votes, 1);
    assert_eq!(harness.count_rows("community_post").await, 1, "private posts are deleted with their author");
    assert_eq!(harness.count_rows("community_follow").await, 0);
    let comment = harness.comment(Some(person(3)), comment).await.unwrap();
    assert_eq!((comment.author, comment.like_count, comment.content.as_str()), (None, 0, "hm"));
    harness.assert_counters().await;
}

#[tokio::test]
async fn a_wrong_counter_is_found_and_repaired() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.sql("UPDATE community_group SET member_count = 7, post_count = 3").await.unwrap();
    let findings = harness.examine(false).await.unwrap();
    assert!(
        findings[0].is_error() && findings[0].message.contains("community_group.member_count in 1 rows"),
        "{findings:?}"
    );
    assert!(!harness.examine(true).await.unwrap()[0].is_error());
    harness.assert_counters().await;
    assert_eq!(harness.group(Some(person(1)), hall).await.unwrap().member_count, Some(1));
}
