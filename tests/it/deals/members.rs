//! Members and invitations of an organization.

use serde_json::{Value, json};

use super::fixture;

#[tokio::test]
async fn members_are_deactivated_reassigned_and_removed() {
    let fixture = fixture().await;
    let (server, anna, ben, org) = (&fixture.server, &fixture.anna, &fixture.ben, &fixture.org);
    let member = fixture.add_ben("Salesperson").await["id"].clone();
    let client = fixture.create("clients/", ben, json!({"name": "Global Corp"})).await["id"].clone();
    fixture.create(&format!("clients/{client}/deals/"), ben, json!({"title": "x", "value": "10"})).await;
    let member_path = format!("{org}members/{member}/");
    let refused = server.delete(&member_path, anna).await;
    let problem = refused.json();
    assert_eq!((refused.status.as_u16(), &problem["code"]), (409, &json!("protected")));
    assert_eq!(
        (&problem["blockers"][0]["model"], &problem["blockers"][0]["count"]),
        (&json!("deal"), &json!(1)),
        "{problem}"
    );
    assert_eq!(problem["resolutions"], json!(["reassign", "deactivate"]));
    let deactivated = server.post(&format!("{member_path}deactivate/"), anna, json!({})).await;
    assert_eq!(
        (deactivated.status.as_u16(), &deactivated.json()["status"]),
        (200, &json!("deactivated")),
        "{}",
        deactivated.text
    );
    assert_eq!(server.get(&format!("{org}deals/"), ben).await.status, 404, "it takes effect with the next request");
    let successor = server.get("/api/auth/me/", anna).await.json()["id"].clone();
    let body = json!({"to_user_id": successor, "include_creator": true});
    let reassigned = server.post(&format!("{member_path}reassign/"), anna, body).await;
    assert_eq!(
        (reassigned.status.as_u16(), reassigned.json()["deals"].as_u64() > Some(0)),
        (200, true),
        "{}",
        reassigned.text
    );
    assert_eq!(server.delete(&member_path, anna).await.status, 204);
    let own = server.get(&format!("{org}me/"), anna).await.json()["member"]["id"].clone();
    let last = server.post(&format!("{org}members/{own}/deactivate/"), anna, json!({})).await;
    assert_eq!((last.status.as_u16(), last.code()), (409, "last_owner".into()));
}

#[tokio::test]
async fn fault_5_invitations_are_listed_accepted_and_declined_and_members_can_leave() {
    let fixture = fixture().await;
    let (server, anna, ben) = (&fixture.server, &fixture.anna, &fixture.ben);
    let new = json!({"user_id": fixture.ben_id, "role_id": fixture.role("Viewer").await});
    let invitations = "/api/crm/invitations/";
    let invited = fixture.create("members/", anna, new.clone()).await;
    let listed = server.get(invitations, ben).await.json();
    assert_eq!((&listed["count"], &listed["results"][0]["organization"]["name"]), (&json!(1), &json!("Acme")));
    assert_eq!(server.get(&fixture.org, ben).await.status, 404);
    assert_eq!(server.get("/api/crm/clients/", ben).await.status, 404, "Ben is in no organization");
    let route = |id: &Value, verb: &str| format!("{invitations}{id}/{verb}/");
    assert_eq!(server.post(&route(&invited["id"], "accept"), anna, Value::Null).await.status, 404);
    assert_eq!(server.post(&route(&invited["id"], "decline"), ben, Value::Null).await.status, 204);
    let again = fixture.create("members/", anna, new).await;
    assert_eq!(server.post(&route(&again["id"], "accept"), ben, Value::Null).await.status, 200);
    assert_eq!(server.get("/api/crm/clients/", ben).await.status, 200);
    let leave = format!("{}leave/", fixture.org);
    let refused = server.post(&leave, anna, Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "last_owner"));
    assert_eq!(server.post(&leave, ben, Value::Null).await.status, 204);
    assert_eq!(server.get(&fixture.org, ben).await.status, 404);
}
