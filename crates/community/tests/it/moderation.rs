use std::time::Duration;

use guildhall_community::{Groups, Invites, JoinRequests, Joined, Members, Moderation, NewBan, NewInvite, Role};
use guildhall_kernel::{IfMatch, UserId};

use crate::{
    fixtures::{for_person, join, members, page},
    harness::{code, community, listed, named, person, private},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_banned_user_cannot_join_until_the_ban_ends() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let club = harness.group_of(1, listed("club")).await;
    let den = harness.group_of(1, private("den")).await;
    harness.add_member(hall, 2).await;
    let ban = |days| NewBan { user_id: UserId(2), reason: "spam".into(), days };
    let created = harness.moderation.ban(&person(1), hall, ban(Some(3))).await.unwrap();
    assert!(created.until.is_some() && created.reason == "spam");
    assert_eq!(members(&harness, hall).await, [(1, Role::Owner)]);
    assert_eq!(code(join(&harness, 2, hall).await), "banned");
    assert_eq!(code(harness.groups.invite(&person(1), hall, for_person(2)).await), "invalid");
    let link = harness.groups.invite(&person(1), hall, NewInvite::default()).await.unwrap();
    assert_eq!(code(harness.groups.accept_invite(&person(2), link.token.clone()).await), "banned");
    harness.clock.advance(DAY * 4);
    assert_eq!(join(&harness, 2, hall).await.unwrap(), Joined::Member { new: true });

    harness.groups.invite(&person(1), den, for_person(2)).await.unwrap();
    harness.moderation.ban(&person(1), den, ban(None)).await.unwrap();
    assert_eq!(code(join(&harness, 2, den).await), "group_not_found", "the ban has revoked the invite");
    join(&harness, 2, club).await.unwrap();
    harness.moderation.ban(&person(1), club, ban(None)).await.unwrap();
    assert_eq!(code(join(&harness, 2, club).await), "banned");
    assert_eq!(harness.groups.requests(&person(1), club, page()).await.unwrap().count, 0);
    assert_eq!(harness.moderation.bans(&person(1), club, page()).await.unwrap().count, 1);
    harness.moderation.unban(&person(1), club, UserId(2)).await.unwrap();
    assert!(matches!(join(&harness, 2, club).await.unwrap(), Joined::Requested { .. }));
    assert_eq!(code(harness.moderation.unban(&person(1), club, UserId(2)).await), "not_found");
    assert_eq!(
        code(harness.moderation.ban(&person(1), hall, NewBan { user_id: UserId(1), ..ban(None) }).await),
        "invalid"
    );
    assert_eq!(
        code(harness.moderation.ban(&person(1), hall, NewBan { user_id: UserId(999), ..ban(None) }).await),
        "invalid"
    );
    harness.assert_counters().await;
}

#[tokio::test]
async fn the_moderation_log_is_immutable_and_deleted_with_its_group() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    harness.groups.remove_member(&person(1), hall, UserId(2)).await.unwrap();
    assert!(harness.db.sql("UPDATE community_moderation SET action = 'nothing'").await.is_err());
    assert!(harness.db.sql("DELETE FROM community_moderation").await.is_err());
    harness.db.sql("DELETE FROM people WHERE id = 2").await.unwrap();
    assert_eq!(harness.db.count_rows("community_moderation").await, 1, "deleting a user keeps the log");
    harness.groups.delete_group(&person(1), hall, IfMatch::default()).await.unwrap();
    assert_eq!(harness.db.count_rows("community_moderation").await, 0);
}
