use guildhall_deals::{Clients, Filter, NewTask, TaskPatch, Tasks};
use guildhall_kernel::{IfMatch, Timestamp, UserId};

use crate::harness::{code, deals, invalid_fields, page, person};

fn any() -> IfMatch {
    IfMatch::default()
}

#[tokio::test]
async fn tasks_are_assigned_completed_and_late() {
    let harness = deals().await;
    let org = harness.org().await;
    for user in [2, 3] {
        harness.join(org, user, "salesperson", None).await;
    }
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "1").await.id;
    let new = |title: &str, assignee| NewTask {
        title: title.into(),
        deal_id: Some(deal),
        assignee_id: Some(UserId(assignee)),
        due_at: Some(Timestamp::from_unix_seconds(1)),
        ..NewTask::default()
    };
    let task = harness.tasks.create_task(&person(1), org, new("Call them", 2)).await.unwrap();
    assert_eq!(
        (task.client_id, task.is_late, task.assignee.as_ref().map(|person| person.id)),
        (Some(client), true, Some(UserId(2)))
    );
    assert_eq!(
        invalid_fields(harness.tasks.create_task(&person(2), org, new("x", 2)).await),
        ["deal_id"],
        "a deal that they may not see"
    );
    let without_deal = |assignee| NewTask { deal_id: None, ..new("Tidy up", assignee) };
    assert_eq!(code(harness.tasks.create_task(&person(2), org, without_deal(3)).await), "not_granted");
    harness.tasks.create_task(&person(2), org, without_deal(2)).await.unwrap();
    let titles = async |user, filter: &[(&str, &str)]| {
        let filter = Filter::new(filter.iter().copied());
        let found = harness.tasks.tasks(&person(user), org, filter, page()).await.unwrap();
        found.results.into_iter().map(|task| task.title).collect::<Vec<_>>()
    };
    assert_eq!((titles(1, &[]).await.len(), titles(2, &[]).await.len(), titles(3, &[]).await.len()), (2, 2, 0));
    assert_eq!(titles(1, &[("owner", "2"), ("deal_id", &deal.to_string())]).await, ["Call them"]);
    assert_eq!(code(harness.tasks.task(&person(3), org, task.id).await), "not_found");
    let done = TaskPatch { is_done: Some(true), ..TaskPatch::default() };
    let known = IfMatch::only(task.updated_at.into());
    let finished = harness.tasks.change_task(&person(2), org, task.id, done.clone(), known.clone()).await.unwrap();
    assert!(finished.done_at.is_some() && !finished.is_late);
    assert_eq!(code(harness.tasks.change_task(&person(2), org, task.id, done, known).await), "stale");
    assert_eq!(
        (titles(2, &[]).await, titles(2, &[("done", "true")]).await),
        (vec!["Tidy up".to_owned()], vec!["Call them".to_owned()])
    );
    harness.tasks.delete_task(&person(2), org, task.id, any()).await.unwrap();
    assert_eq!(titles(1, &[("done", "all")]).await, ["Tidy up"]);
    // Purging a client deletes its tasks.
    harness.tasks.create_task(&person(1), org, new("x", 1)).await.unwrap();
    harness.clients.delete_client(&person(1), org, client, true, None, any()).await.unwrap();
    assert_eq!(harness.db.count_rows("deals_task").await, 1);
}

#[tokio::test]
async fn the_assignee_of_a_task_is_reminded_once() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    harness.join(org, 2, "salesperson", None).await;
    let now = Timestamp::now();
    let hour = std::time::Duration::from_secs(3600);
    let new = |title: &str, assignee: i64, remind_at| NewTask {
        title: title.to_owned(),
        assignee_id: Some(UserId(assignee)),
        due_at: Some(now + 2 * hour),
        remind_at: Some(remind_at),
        ..NewTask::default()
    };
    let call = harness.tasks.create_task(me, org, new("Call", 2, now + hour)).await.unwrap();
    let done = harness.tasks.create_task(me, org, new("Done", 2, now + hour)).await.unwrap();
    harness.tasks.create_task(me, org, new("Later", 1, now + 3 * hour)).await.unwrap();
    let patch = TaskPatch { is_done: Some(true), ..TaskPatch::default() };
    harness.tasks.change_task(me, org, done.id, patch, IfMatch::default()).await.unwrap();
    assert_eq!(harness.tasks.remind().await.unwrap(), 0);
    harness.clock.advance(hour);
    assert_eq!(harness.tasks.remind().await.unwrap(), 1);
    assert_eq!(harness.tasks.remind().await.unwrap(), 0, "reminded once");
    let emails = "SELECT COUNT(*) FROM kernel_outbox WHERE channel = 'mail' \
                   AND recipient = 'person-2@example.org' AND title = 'Reminder: Call' AND payload LIKE '%Acme%'";
    assert_eq!(harness.db.query_i64(emails).await, 1);
    // Postponing it sets another reminder.
    let patch = TaskPatch { remind_at: Some(Some(now + 2 * hour)), ..TaskPatch::default() };
    harness.tasks.change_task(me, org, call.id, patch, IfMatch::default()).await.unwrap();
    harness.clock.advance(hour);
    assert_eq!(harness.tasks.remind().await.unwrap(), 1);
    harness.clock.advance(hour);
    assert_eq!(harness.tasks.remind().await.unwrap(), 1, "the reminder of the other task");
}
