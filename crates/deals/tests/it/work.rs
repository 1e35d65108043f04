use guildhall_deals::{
    ActivityKind, Clients, DealStatus, Deals, Filter, NewActivity, NewClient, NewContact, NewTask, Payments, TaskPatch,
    Work,
};
use guildhall_kernel::{IfMatch, SliceQuery, Timestamp, UserId};

use crate::harness::{code, deals, faults, page, person};

fn any() -> IfMatch {
    IfMatch::default()
}

fn note(content: &str) -> NewActivity {
    NewActivity { content: content.into(), ..NewActivity::default() }
}

#[tokio::test]
async fn what_happened_is_written_down_and_read_by_those_who_see_the_deal() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    let own = harness.deal_of(2, org, client, "1").await.id;
    let hidden = harness.deal_of(1, org, client, "1").await.id;
    let call = NewActivity { kind: ActivityKind::Call, ..note("They want it blue.") };
    let made = harness.log_activity(&person(2), org, own.into(), call).await.unwrap();
    assert_eq!((made.kind, made.created_by.as_ref().map(|person| person.id)), (ActivityKind::Call, Some(UserId(2))));
    harness.log_activity(&person(1), org, hidden.into(), note("Not for everybody.")).await.unwrap();
    harness.log_with_client(&person(2), org, client, note("Met at the fair.")).await.unwrap();
    let timeline = async |who| {
        let found = harness.timeline(&person(who), org, client, SliceQuery::newest(10)).await.unwrap();
        found.results.into_iter().map(|activity| activity.content).collect::<Vec<_>>()
    };
    assert_eq!(timeline(1).await, ["Met at the fair.", "Not for everybody.", "They want it blue."]);
    assert_eq!(timeline(2).await, ["Met at the fair.", "They want it blue."]);
    let of_deal = harness.activities(&person(2), org, own.into(), SliceQuery::newest(10)).await.unwrap();
    assert_eq!(of_deal.results, [made]);
    assert_eq!(code(harness.activities(&person(2), org, hidden.into(), SliceQuery::newest(1)).await), "deal_not_found");
    assert_eq!(faults(harness.log_activity(&person(2), org, own.into(), note(" ")).await), ["content"]);
}

#[tokio::test]
async fn tasks_are_given_done_and_late() {
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
    let task = harness.create_task(&person(1), org, new("Call them", 2)).await.unwrap();
    assert_eq!(
        (task.client_id, task.is_late, task.assignee.as_ref().map(|person| person.id)),
        (Some(client), true, Some(UserId(2)))
    );
    assert_eq!(
        faults(harness.create_task(&person(2), org, new("x", 2)).await),
        ["deal_id"],
        "of a deal that they do not see"
    );
    let free = |assignee| NewTask { deal_id: None, ..new("Tidy up", assignee) };
    assert_eq!(code(harness.create_task(&person(2), org, free(3)).await), "not_granted");
    harness.create_task(&person(2), org, free(2)).await.unwrap();
    let titles = async |who, filter: &[(&str, &str)]| {
        let filter = Filter::new(filter.iter().copied());
        let found = harness.tasks(&person(who), org, filter, page()).await.unwrap();
        found.results.into_iter().map(|task| task.title).collect::<Vec<_>>()
    };
    assert_eq!((titles(1, &[]).await.len(), titles(2, &[]).await.len(), titles(3, &[]).await.len()), (2, 2, 0));
    assert_eq!(titles(1, &[("owner", "2"), ("deal_id", &deal.to_string())]).await, ["Call them"]);
    assert_eq!(code(harness.task(&person(3), org, task.id).await), "not_found");
    let done = TaskPatch { is_done: Some(true), ..TaskPatch::default() };
    let known = IfMatch::only(task.updated_at.into());
    let finished = harness.change_task(&person(2), org, task.id, done.clone(), known.clone()).await.unwrap();
    assert!(finished.done_at.is_some() && !finished.is_late);
    assert_eq!(code(harness.change_task(&person(2), org, task.id, done, known).await), "stale");
    assert_eq!(
        (titles(2, &[]).await, titles(2, &[("done", "true")]).await),
        (vec!["Tidy up".to_owned()], vec!["Call them".to_owned()])
    );
    harness.delete_task(&person(2), org, task.id, any()).await.unwrap();
    assert_eq!(titles(1, &[("done", "all")]).await, ["Tidy up"]);
    // They go with their deal.
    harness.create_task(&person(1), org, new("x", 1)).await.unwrap();
    harness.delete_client(&person(1), org, client, true, None, any()).await.unwrap();
    assert_eq!(harness.rows("deals_task").await, 1);
}

#[tokio::test]
async fn two_clients_become_one_with_all_that_they_had() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let new = |name: &str, phone: &str, email: &str| NewClient {
        name: name.into(),
        phone: phone.into(),
        email: email.into(),
        ..NewClient::default()
    };
    let kept = harness.create_client(&person(1), org, new("Müller", "030 12345", "")).await.unwrap().id;
    let gone = harness.create_client(&person(1), org, new("MÜLLER", "+30-12345", "a@b.example")).await.unwrap().id;
    let third = harness.create_client(&person(1), org, new("Meier", "030-12345", "")).await.unwrap().id;
    let same = harness.duplicates(&person(1), org, kept).await.unwrap();
    let same: Vec<_> = same.into_iter().map(|found| (found.client.id, found.same)).collect();
    assert_eq!(same, [(gone, vec!["name"]), (third, vec!["phone"])]);
    for (client, name) in [(kept, "Ann"), (gone, "Bob")] {
        let contact = NewContact { first_name: name.into(), is_primary: true, ..NewContact::default() };
        harness.create_contact(&person(1), org, client, contact).await.unwrap();
    }
    let deal = harness.deal_of(1, org, gone, "10").await.id;
    harness.pay(1, org, deal, "5").await;
    harness.log_activity(&person(1), org, deal.into(), note("x")).await.unwrap();
    harness
        .close_deal(&person(1), org, deal.into(), DealStatus::Won, guildhall_deals::Closing::default())
        .await
        .unwrap();
    assert_eq!(faults(harness.merge_clients(&person(1), org, kept, kept).await), ["client_id"]);
    assert_eq!(code(harness.merge_clients(&person(2), org, kept, gone).await), "client_not_found");
    let merged = harness.merge_clients(&person(1), org, kept, gone).await.unwrap();
    assert_eq!((merged.id, merged.name.as_str(), merged.email.as_str()), (kept, "Müller", "a@b.example"));
    let found = harness.read(1, org, deal).await;
    assert_eq!((found.client_id, found.client.name.as_str(), found.paid_total.as_str()), (kept, "Müller", "5.00"));
    let people = harness.contacts(&person(1), org, kept, page()).await.unwrap().results;
    assert_eq!(people.iter().map(|contact| contact.is_primary).collect::<Vec<_>>(), [true, false]);
    assert_eq!(harness.timeline(&person(1), org, kept, SliceQuery::newest(5)).await.unwrap().results.len(), 1);
    let told = guildhall_kernel::Error::from(Clients::client(&harness.deals, &person(1), org, gone).await.unwrap_err());
    assert_eq!((told.code(), told.extension("merged_into")), ("client_merged", Some(&kept.0.into())));
    assert_eq!(code(Clients::client(&harness.deals, &person(2), org, gone).await), "client_not_found");
    // What became part of one that becomes part of another is found there.
    harness.merge_clients(&person(1), org, third, kept).await.unwrap();
    let told = guildhall_kernel::Error::from(Clients::client(&harness.deals, &person(1), org, gone).await.unwrap_err());
    assert_eq!(told.extension("merged_into"), Some(&third.0.into()));
    let payments = harness.payments(&person(1), org, None, Filter::default(), page()).await.unwrap();
    assert_eq!(payments.count, 1);
    harness.assert_counted().await;
}

#[tokio::test]
async fn whoever_does_a_task_is_reminded_of_it_once() {
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
    let call = harness.create_task(me, org, new("Call", 2, now + hour)).await.unwrap();
    let done = harness.create_task(me, org, new("Done", 2, now + hour)).await.unwrap();
    harness.create_task(me, org, new("Later", 1, now + 3 * hour)).await.unwrap();
    let patch = TaskPatch { is_done: Some(true), ..TaskPatch::default() };
    harness.change_task(me, org, done.id, patch, IfMatch::default()).await.unwrap();
    assert_eq!(harness.remind().await.unwrap(), 0);
    harness.pass(hour);
    assert_eq!(harness.remind().await.unwrap(), 1);
    assert_eq!(harness.remind().await.unwrap(), 0, "once is enough");
    let letters = "SELECT COUNT(*) FROM kernel_outbox WHERE channel = 'mail' \
                   AND recipient = 'person-2@example.org' AND title = 'Reminder: Call' AND payload LIKE '%Acme%'";
    assert_eq!(harness.number(letters).await, 1);
    // Put off, it comes again.
    let patch = TaskPatch { remind_at: Some(Some(now + 2 * hour)), ..TaskPatch::default() };
    harness.change_task(me, org, call.id, patch, IfMatch::default()).await.unwrap();
    harness.pass(hour);
    assert_eq!(harness.remind().await.unwrap(), 1);
    harness.pass(hour);
    assert_eq!(harness.remind().await.unwrap(), 1, "the other one's");
}
