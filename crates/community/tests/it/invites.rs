use std::time::Duration;

use guildhall_community::{InviteStatus, Invites, Joined, Members, NewInvite};
use guildhall_kernel::UserId;

use crate::{
    fixtures::{for_person, join, members, page},
    harness::{code, community, person, private, with_connections},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn an_invite_admits_only_its_recipient_and_respects_its_limits() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    assert_eq!(code(harness.groups.invite(&person(2), den, for_person(3)).await), "group_not_found");
    harness.add_member(den, 2).await;
    assert_eq!(code(harness.groups.invite(&person(2), den, for_person(3)).await), "not_moderator");

    let personal = harness.groups.invite(&person(1), den, for_person(3)).await.unwrap();
    assert!(personal.url.ends_with(&format!("/invites/{}/", personal.token)));
    assert_eq!(code(harness.groups.accept_invite(&person(4), personal.token.clone()).await), "invite_for_other");
    assert_eq!(harness.groups.invitations(&person(3)).await.unwrap()[0].group_name, "den");
    assert!(harness.groups.accept_invite(&person(3), personal.token.clone()).await.unwrap().is_member);
    assert!(
        harness.groups.accept_invite(&person(3), personal.token).await.unwrap().is_member,
        "accepting twice changes nothing"
    );
    assert!(harness.groups.invitations(&person(3)).await.unwrap().is_empty());

    // A user with a personal invite needs no token.
    harness.groups.invite(&person(1), den, for_person(4)).await.unwrap();
    assert_eq!(join(&harness, 4, den).await.unwrap(), Joined::Member { new: true });

    let link = NewInvite { max_uses: Some(2), expires_days: Some(1), ..NewInvite::default() };
    let link = harness.groups.invite(&person(1), den, link).await.unwrap();
    for user in [5, 6] {
        harness.groups.accept_invite(&person(user), link.token.clone()).await.unwrap();
    }
    assert_eq!(code(harness.groups.accept_invite(&person(7), link.token.clone()).await), "invite_spent");
    let listed = harness.groups.invites(&person(1), den, page()).await.unwrap().results;
    assert_eq!((listed[0].status, listed[0].uses), (InviteStatus::Accepted, 2));

    let late = harness.groups.invite(&person(1), den, NewInvite::default()).await.unwrap();
    harness.clock.advance(DAY * 8);
    assert_eq!(code(harness.groups.accept_invite(&person(7), late.token).await), "invite_spent");
    assert_eq!(harness.groups.invites(&person(1), den, page()).await.unwrap().results[0].status, InviteStatus::Expired);

    let revoked = harness.groups.invite(&person(1), den, NewInvite::default()).await.unwrap();
    harness.groups.revoke_invite(&person(1), den, revoked.id).await.unwrap();
    assert_eq!(code(harness.groups.accept_invite(&person(7), revoked.token).await), "invite_spent");
    assert_eq!(code(harness.groups.accept_invite(&person(7), "nonsense".into()).await), "not_found");
    assert_eq!(members(&harness, den).await.len(), 6);
    harness.assert_counters().await;

    // A removed member cannot use what is left of their invite to join again.
    let often = NewInvite { max_uses: Some(5), ..for_person(8) };
    harness.groups.invite(&person(1), den, often).await.unwrap();
    join(&harness, 8, den).await.unwrap();
    harness.groups.remove_member(&person(1), den, UserId(8)).await.unwrap();
    assert_eq!(code(join(&harness, 8, den).await), "group_not_found");
    assert!(harness.groups.invitations(&person(8)).await.unwrap().is_empty());
}

#[tokio::test]
async fn invitations_to_one_address_are_limited() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    let invite = || NewInvite { email: Some(Some("Victim@example.org".into())), ..NewInvite::default() };
    let mut outcomes = Vec::new();
    for _ in 0..7 {
        outcomes.push(code(harness.groups.invite(&person(1), den, invite()).await));
    }
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "ok").count(), 5);
    assert_eq!(outcomes[6], "too_many_invites");
    harness.clock.advance(DAY * 2);
    assert_eq!(code(harness.groups.invite(&person(1), den, invite()).await), "ok");
}

#[tokio::test]
async fn an_email_address_is_invited_case_insensitively() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    let to = |email: &str| NewInvite { email: Some(Some(email.into())), ..NewInvite::default() };
    let first = harness.groups.invite(&person(1), den, to("Person-3@Example.org")).await.unwrap();
    let second = harness.groups.invite(&person(1), den, to("person-3@example.org")).await.unwrap();
    assert_eq!(harness.db.count_rows("kernel_outbox").await, 2);
    assert_eq!(
        harness.db.query_i64("SELECT COUNT(*) FROM kernel_outbox WHERE recipient_key = 'person-3@example.org'").await,
        2
    );
    assert_eq!(
        code(harness.groups.accept_invite(&person(3), first.token).await),
        "invite_spent",
        "the second replaces it"
    );
    assert_eq!(code(harness.groups.accept_invite(&person(4), second.token.clone()).await), "invite_for_other");
    assert!(harness.groups.accept_invite(&person(3), second.token).await.unwrap().is_member);
    for invalid in ["", "x", "a@b", "a b@example.org", "@example.org"] {
        assert_eq!(code(harness.groups.invite(&person(1), den, to(invalid)).await), "invalid", "{invalid}");
    }
    let both = NewInvite { user_id: Some(Some(UserId(5))), ..to("a@example.org") };
    assert_eq!(code(harness.groups.invite(&person(1), den, both).await), "invalid");
    assert_eq!(code(harness.groups.invite(&person(1), den, for_person(999)).await), "invalid");
    assert_eq!(code(harness.groups.invite(&person(1), den, for_person(3)).await), "invalid", "already a member");
}

#[tokio::test]
async fn fault_r22_an_invitation_is_sent_to_the_address_as_entered() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    for address in ["Strauß@example.org", "info@fußball.example", "ＡＢＣ@example.org"] {
        let to = NewInvite { email: Some(Some(address.into())), ..NewInvite::default() };
        harness.groups.invite(&person(1), den, to).await.unwrap();
        let sql = format!("SELECT COUNT(*) FROM kernel_outbox WHERE recipient = '{address}'");
        assert_eq!(harness.db.query_i64(&sql).await, 1, "{address}");
        let shown = harness.groups.invites(&person(1), den, page()).await.unwrap();
        assert_eq!(shown.results[0].email.as_deref(), Some(address));
    }
}

#[tokio::test]
async fn fault_t12_an_explicit_null_does_not_create_an_open_link() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    let read = |json: &str| serde_json::from_str::<NewInvite>(json).unwrap();
    for invalid in [r#"{"user_id": null}"#, r#"{"email": null}"#, r#"{"user_id": null, "email": null}"#] {
        assert_eq!(code(harness.groups.invite(&person(1), den, read(invalid)).await), "invalid", "{invalid}");
    }
    assert_eq!(harness.db.count_rows("community_invite").await, 0);
    for valid in ["{}", r#"{"user_id": 5}"#, r#"{"user_id": null, "email": "a@example.org"}"#] {
        harness.groups.invite(&person(1), den, read(valid)).await.unwrap();
    }
}

#[tokio::test]
async fn concurrent_uses_of_an_invite_do_not_exceed_its_limit() {
    let harness = with_connections(8).await;
    let den = harness.group_of(1, private("den")).await;
    let link =
        harness.groups.invite(&person(1), den, NewInvite { max_uses: Some(3), ..NewInvite::default() }).await.unwrap();
    let callers: Vec<_> = (2..=21).map(person).collect();
    let uses = callers.iter().map(|caller| harness.groups.accept_invite(caller, link.token.clone()));
    let outcomes = futures_util::future::join_all(uses).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_eq!(members(&harness, den).await.len(), 4);
    harness.assert_counters().await;
}
