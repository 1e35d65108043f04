use guildhall_community::{GroupPatch, Groups, JoinRequests, Joined, Members};
use guildhall_kernel::IfMatch;

use crate::{
    fixtures::{join, page},
    harness::{code, community, listed, named, person, private},
};

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
    assert_eq!(harness.groups.requests(&person(1), club, page()).await.unwrap().count, 1);
    assert_eq!(code(harness.groups.requests(&person(2), club, page()).await), "not_member");
    assert_eq!(code(harness.groups.decide_request(&person(2), club, request_id, true).await), "not_member");
    let other = harness.group_of(1, named("other")).await;
    assert_eq!(code(harness.groups.decide_request(&person(1), other, request_id, true).await), "not_found");
    harness.groups.decide_request(&person(1), club, request_id, false).await.unwrap();
    assert_eq!(code(harness.groups.decide_request(&person(1), club, request_id, true).await), "already_decided");
    // After a denial, the user can request again and withdraw the request.
    let Joined::Requested { request_id: second } = join(&harness, 2, club).await.unwrap() else {
        panic!("joined without approval")
    };
    assert_ne!(second, request_id);
    assert!(harness.groups.leave(&person(2), club).await.unwrap());
    assert_eq!(code(harness.groups.decide_request(&person(1), club, second, true).await), "already_decided");
    let Joined::Requested { request_id: third } = join(&harness, 2, club).await.unwrap() else {
        panic!("joined without approval")
    };
    harness.groups.decide_request(&person(1), club, third, true).await.unwrap();
    assert!(harness.groups.group(Some(person(2)), club).await.unwrap().is_member);
    harness.assert_counters().await;
}

#[tokio::test]
async fn a_request_can_be_withdrawn_after_the_group_was_hidden() {
    let harness = community().await;
    let club = harness.group_of(1, listed("club")).await;
    join(&harness, 2, club).await.unwrap();
    let hide = GroupPatch { is_listed: Some(false), ..GroupPatch::default() };
    harness.groups.change_group(&person(1), club, hide, IfMatch::default()).await.unwrap();
    assert!(harness.groups.leave(&person(2), club).await.unwrap());
    assert_eq!(code(harness.groups.leave(&person(2), club).await), "group_not_found");
    assert_eq!(harness.groups.requests(&person(1), club, page()).await.unwrap().count, 0);
}
