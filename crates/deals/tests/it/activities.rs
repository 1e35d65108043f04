use guildhall_deals::{Activities, ActivityKind, NewActivity};
use guildhall_kernel::{CursorQuery, UserId};

use crate::harness::{code, deals, invalid_fields, person};

fn note(content: &str) -> NewActivity {
    NewActivity { content: content.into(), ..NewActivity::default() }
}

#[tokio::test]
async fn activities_are_visible_with_their_deals() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    let own = harness.deal_of(2, org, client, "1").await.id;
    let hidden = harness.deal_of(1, org, client, "1").await.id;
    let call = NewActivity { kind: ActivityKind::Call, ..note("They want it blue.") };
    let activity = harness.tasks.log_activity(&person(2), org, own.into(), call).await.unwrap();
    assert_eq!(
        (activity.kind, activity.created_by.as_ref().map(|person| person.id)),
        (ActivityKind::Call, Some(UserId(2)))
    );
    harness.tasks.log_activity(&person(1), org, hidden.into(), note("Not for everybody.")).await.unwrap();
    harness.tasks.log_with_client(&person(2), org, client, note("Met at the fair.")).await.unwrap();
    let timeline = async |user| {
        let found = harness.tasks.timeline(&person(user), org, client, CursorQuery::newest(10)).await.unwrap();
        found.results.into_iter().map(|activity| activity.content).collect::<Vec<_>>()
    };
    assert_eq!(timeline(1).await, ["Met at the fair.", "Not for everybody.", "They want it blue."]);
    assert_eq!(timeline(2).await, ["Met at the fair.", "They want it blue."]);
    let of_deal = harness.tasks.activities(&person(2), org, own.into(), CursorQuery::newest(10)).await.unwrap();
    assert_eq!(of_deal.results, [activity]);
    assert_eq!(
        code(harness.tasks.activities(&person(2), org, hidden.into(), CursorQuery::newest(1)).await),
        "deal_not_found"
    );
    assert_eq!(invalid_fields(harness.tasks.log_activity(&person(2), org, own.into(), note(" ")).await), ["content"]);
}
