//! Notifications of deals, payments and tasks.

use std::time::Duration;

use guildhall_deals::{MemberId, OrganizationId, TaskId, event::TaskDue};
use guildhall_kernel::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Fixture, Person, assert_target, fixture};

const ORGS: &str = "/api/crm/organizations/";

/// An organization of Anna, in which Ben and Eve are salespeople, with a client.
struct Organization {
    id: i64,
    /// Its path.
    path: String,
    client: Value,
    /// The memberships of Ben and Eve.
    members: [Value; 2],
}

impl Fixture {
    async fn organization(&self) -> Organization {
        let org = self.post(ORGS, &self.anna, json!({"name": "Acme"})).await;
        let path = format!("{ORGS}{}/", org["id"]);
        let roles = self.server.get(&format!("{path}roles/"), &self.anna.token).await.json();
        let role = roles["results"].as_array().unwrap().iter().find(|role| role["name"] == "Salesperson").unwrap();
        let members = [self.join(&path, &self.ben, &role["id"]).await, self.join(&path, &self.eve, &role["id"]).await];
        let client = self.post(&format!("{path}clients/"), &self.anna, json!({"name": "Global"})).await["id"].clone();
        Organization { id: org["id"].as_i64().unwrap(), path, client, members }
    }

    async fn join(&self, org: &str, who: &Person, role: &Value) -> Value {
        let new = json!({"user_id": who.id, "role_id": role});
        let member = self.post(&format!("{org}members/"), &self.anna, new).await;
        self.post(&format!("/api/crm/invitations/{}/accept/", member["id"]), who, Value::Null).await
    }

    /// Anna creates a deal; returns its id.
    async fn deal(&self, org: &Organization, owner: &Person) -> i64 {
        let new = json!({"client_id": org.client, "title": "Website", "value": "100", "owner_id": owner.id});
        self.post(&format!("{}deals/", org.path), &self.anna, new).await["id"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn a_deal_notifies_whom_it_is_assigned_to_while_they_may_see_it() {
    let fixture = fixture().await;
    let org = fixture.organization().await;
    let deal = fixture.deal(&org, &fixture.ben).await;
    let list = fixture.notifications(&fixture.ben).await;
    assert_eq!((list.len(), &list[0]["kind"]), (1, &json!("deal_assigned")));
    assert_eq!(list[0]["text"], "anna assigned deal DLID0001 “Website” to you");
    assert_target(&list[0], "deal", deal, &format!("/crm/{}/deals/{deal}/", org.id));
    let path = format!("{}deals/{deal}/", org.path);
    fixture.send(Method::PATCH, &path, &fixture.anna, json!({"title": "Shop"})).await;
    assert_eq!(fixture.unread(&fixture.ben).await, 1, "other changes do not assign it again");
    fixture.send(Method::PATCH, &path, &fixture.anna, json!({"owner_id": fixture.eve.id})).await;
    assert_eq!(fixture.texts(&fixture.eve).await, ["anna assigned deal DLID0001 “Shop” to you"]);
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
    fixture.send(Method::PATCH, &path, &fixture.anna, json!({"owner_id": fixture.anna.id})).await;
    assert!(fixture.notifications(&fixture.anna).await.is_empty(), "she has done it herself");
    assert!(fixture.notifications(&fixture.eve).await.is_empty());
}

#[tokio::test]
async fn the_reassignment_of_a_member_is_one_notification() {
    let fixture = fixture().await;
    let org = fixture.organization().await;
    fixture.deal(&org, &fixture.ben).await;
    fixture.deal(&org, &fixture.ben).await;
    let reassign = format!("{}members/{}/reassign/", org.path, org.members[0]["id"]);
    fixture.post(&reassign, &fixture.anna, json!({"to_user_id": fixture.eve.id})).await;
    let list = fixture.notifications(&fixture.eve).await;
    assert_eq!((list.len(), &list[0]["text"]), (1, &json!("anna assigned 2 deals to you")));
    assert_eq!(list[0]["target"]["kind"], "organization");
    fixture.post(&format!("{}leave/", org.path), &fixture.eve, Value::Null).await;
    assert!(fixture.notifications(&fixture.eve).await.is_empty());
    assert_eq!(fixture.texts(&fixture.anna).await, ["Somebody assigned 2 deals to you"]);
}

#[tokio::test]
async fn payments_notify_the_owner_of_the_deal_and_their_verification_whoever_recorded_them() {
    let fixture = fixture().await;
    let org = fixture.organization().await;
    let deal = fixture.deal(&org, &fixture.ben).await;
    let payments = format!("{}deals/{deal}/payments/", org.path);
    // Events of different objects may be handled in any order.
    assert_eq!(fixture.notifications(&fixture.ben).await[0]["kind"], "deal_assigned");
    let body = json!({"amount": "1", "method": "cash"});
    fixture.post(&payments, &fixture.anna, body.clone()).await;
    let list = fixture.notifications(&fixture.ben).await;
    assert_eq!((&list[0]["kind"], &list[0]["target"]["id"]), (&json!("payment_recorded"), &json!(deal)));
    assert_eq!(list[0]["text"], "anna recorded a payment for deal DLID0001 “Website”");
    let own = fixture.post(&payments, &fixture.ben, body).await;
    fixture.post(&format!("{payments}{}/verify/", own["id"]), &fixture.anna, json!({})).await;
    let list = fixture.notifications(&fixture.ben).await;
    assert_eq!((list.len(), &list[0]["kind"]), (3, &json!("payment_verified")));
    assert_eq!(list[0]["text"], "anna verified a payment for deal DLID0001 “Website”");
    fixture.server.sql("UPDATE deals_role SET permissions = '[\"deal.read\"]' WHERE key = 'salesperson'").await;
    let kinds: Vec<Value> = fixture.notifications(&fixture.ben).await.iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["deal_assigned"], "who may not see payments is not shown that there are any");
}

impl Fixture {
    /// Anna creates a task of a user; returns its path.
    async fn task(&self, org: &Organization, title: &str, assignee: &Person, due_at: Timestamp) -> String {
        let new = json!({"title": title, "assignee_id": assignee.id, "due_at": due_at});
        let task = self.post(&format!("{}tasks/", org.path), &self.anna, new).await;
        format!("{}tasks/{}/", org.path, task["id"])
    }

    async fn announce_due_tasks(&self) {
        self.server.services().deals.tasks.announce_due_tasks().await.unwrap();
    }
}

#[tokio::test]
async fn a_due_task_notifies_its_assignee_once_and_until_it_is_done() {
    let fixture = fixture().await;
    let org = fixture.organization().await;
    let task = fixture.task(&org, "Call", &fixture.ben, Timestamp::now()).await;
    fixture.announce_due_tasks().await;
    let list = fixture.notifications(&fixture.ben).await;
    assert_eq!(
        (list.len(), &list[0]["kind"], &list[0]["text"]),
        (1, &json!("task_due"), &json!("Your task “Call” is due"))
    );
    let id: i64 = task.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap();
    assert_target(&list[0], "task", id, &format!("/crm/{}/tasks/{id}/", org.id));
    fixture.announce_due_tasks().await;
    assert_eq!(fixture.notifications(&fixture.ben).await.len(), 1);
    assert!(fixture.notifications(&fixture.anna).await.is_empty());
    fixture.send(Method::PATCH, &task, &fixture.ben, json!({"is_done": true})).await;
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
}

#[tokio::test]
async fn a_due_task_that_has_changed_since_the_event_notifies_nobody() {
    let fixture = fixture().await;
    let org = fixture.organization().await;
    let now = Timestamp::now();
    let later = now + Duration::from_secs(3600);
    for (title, change) in [
        ("Done", json!({"is_done": true})),
        ("Postponed", json!({"due_at": later})),
        ("Reassigned", json!({"assignee_id": fixture.anna.id})),
    ] {
        let path = fixture.task(&org, title, &fixture.ben, now).await;
        fixture.send(Method::PATCH, &path, &fixture.anna, change).await;
        let id = path.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap();
        let assignee = MemberId(org.members[0]["id"].as_i64().unwrap());
        let due = &TaskDue { organization_id: OrganizationId(org.id), task: TaskId(id), assignee, due_at: now };
        fixture.server.services().db.write(|tx| async move { tx.emit(due).await }).await.unwrap();
    }
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
}

#[tokio::test]
async fn a_due_task_does_not_notify_whoever_has_left() {
    let fixture = fixture().await;
    let org = fixture.organization().await;
    fixture.task(&org, "Call", &fixture.ben, Timestamp::now()).await;
    fixture.server.sql("UPDATE deals_role SET permissions = '[\"deal.read\"]' WHERE key = 'salesperson'").await;
    fixture.announce_due_tasks().await;
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
    assert_eq!(fixture.unread(&fixture.ben).await, 0);
}
