use guildhall_community::{Comments, Moderation, NewComment, NewReport, Posts, Reports, Verdict};
use guildhall_kernel::CursorQuery;

use crate::{
    fixtures::page,
    harness::{code, community, named, person, post_in, staff},
};

#[tokio::test]
async fn reports_are_visible_to_moderators_and_decided_once() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    for user in [2, 3, 4] {
        harness.add_member(hall, user).await;
    }
    let id = harness.posts.create_post(&person(2), post_in(hall, "bad")).await.unwrap().id;
    let comment = NewComment { content: "worse".into(), parent: None };
    let comment = harness.posts.create_comment(&person(2), id, comment).await.unwrap().id;
    let report = || NewReport { reason: "rude".into() };
    let first = harness.moderation.report_post(&person(3), id, report()).await.unwrap();
    assert_eq!(
        harness.moderation.report_post(&person(3), id, report()).await.unwrap().id,
        first.id,
        "reporting is idempotent"
    );
    harness.moderation.report_post(&person(4), id, report()).await.unwrap();
    let about_comment = harness.moderation.report_comment(&person(3), comment, report()).await.unwrap();
    assert_eq!(harness.moderation.reports(&person(1), Some(hall), page()).await.unwrap().count, 3);
    assert_eq!(code(harness.moderation.reports(&person(3), Some(hall), page()).await), "not_moderator");
    assert_eq!(code(harness.moderation.reports(&person(1), None, page()).await), "not_staff");
    assert_eq!(harness.moderation.reports(&staff(9), None, page()).await.unwrap().count, 3);
    assert_eq!(code(harness.moderation.decide_report(&person(9), first.id, Verdict::Dismiss).await), "not_found");
    assert_eq!(code(harness.moderation.decide_report(&person(3), first.id, Verdict::Dismiss).await), "not_found");
    harness.moderation.decide_report(&person(1), about_comment.id, Verdict::Remove).await.unwrap();
    assert_eq!(harness.db.count_rows("community_comment").await, 0);
    harness.moderation.decide_report(&person(1), first.id, Verdict::Dismiss).await.unwrap();
    assert_eq!(code(harness.moderation.decide_report(&person(1), first.id, Verdict::Remove).await), "already_decided");
    assert_eq!(harness.moderation.reports(&person(1), Some(hall), page()).await.unwrap().count, 0);
    let again = harness.moderation.report_post(&person(3), id, report()).await.unwrap();
    harness.moderation.decide_report(&person(1), again.id, Verdict::Remove).await.unwrap();
    assert_eq!(
        (harness.db.count_rows("community_post").await, harness.db.count_rows("community_report").await),
        (0, 0)
    );
    let log = harness.moderation.log(&person(1), hall, CursorQuery::newest(10)).await.unwrap();
    let actions: Vec<&str> = log.results.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["removed_post", "dismissed_report", "removed_comment"]);
    harness.assert_counters().await;
}
