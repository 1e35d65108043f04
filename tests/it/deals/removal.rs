//! What remains of a removed user.

use guildhall_kernel::Roles;
use reqwest::Method;
use serde_json::{Value, json};

use super::fixture;
use crate::server::{PASSWORD, bearer};

#[tokio::test]
async fn a_user_with_deals_is_deleted_only_with_a_successor() {
    let fixture = fixture().await;
    let (server, anna, ben) = (&fixture.server, &fixture.anna, &fixture.ben);
    let staff = bearer(&server.sign_up_with_roles("chief", Roles { superuser: true, ..Roles::default() }).await);
    fixture.add_ben("Salesperson").await;
    let client = fixture.create("clients/", ben, json!({"name": "Global Corp"})).await;
    for _ in 0..3 {
        fixture.create(&format!("clients/{}/deals/", client["id"]), ben, json!({"title": "x", "value": "10"})).await;
    }
    let remove = async |query: &str| server.delete(&format!("/api/users/{}/{query}", fixture.ben_id), &staff).await;
    let refused = remove("").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "protected".into()));
    let blocker = &refused.json()["blockers"][0];
    assert_eq!(
        (&blocker["model"], &blocker["count"], &blocker["examples"][0]),
        (&json!("deal"), &json!(3), &json!("DLID0001 - Global Corp"))
    );
    assert_eq!(remove("?reassign_to=999").await.status, 400);
    let successor = server.get("/api/auth/me/", anna).await.json()["id"].as_i64().unwrap();
    let removed = remove(&format!("?reassign_to={successor}")).await;
    assert_eq!(removed.status, 204, "{}", removed.text);
    let deals = server.get(&format!("{}deals/?owner=me", fixture.org), anna).await.json();
    assert_eq!((&deals["count"], &deals["results"][0]["created_by"]["username"]), (&json!(3), &json!("anna")));
    let own = server
        .send(
            server
                .request(Method::DELETE, "/api/auth/me/")
                .header("authorization", anna)
                .json(&json!({"password": PASSWORD})),
        )
        .await;
    assert_eq!(
        (own.status.as_u16(), &own.json()["blockers"][0]["model"]),
        (409, &json!("organization")),
        "{}",
        own.text
    );
}

#[tokio::test]
async fn erasing_a_user_keeps_the_ledger() {
    let fixture = fixture().await;
    let (server, anna, ben) = (&fixture.server, &fixture.anna, &fixture.ben);
    let staff = bearer(&server.sign_up_with_roles("chief", Roles { superuser: true, ..Roles::default() }).await);
    fixture.add_ben("Salesperson").await;
    let client = fixture.create("clients/", ben, json!({"name": "x"})).await;
    let deal =
        fixture.create(&format!("clients/{}/deals/", client["id"]), ben, json!({"title": "x", "value": "10"})).await;
    fixture.create(&format!("deals/{}/payments/", deal["id"]), ben, json!({"amount": "5", "method": "cash"})).await;
    let erased = server.post(&format!("/api/users/{}/erase/", fixture.ben_id), &staff, Value::Null).await;
    assert!(erased.status.is_success(), "{} {}", erased.status, erased.text);
    let payments = server.get(&format!("{}payments/", fixture.org), anna).await.json();
    assert_eq!((&payments["count"], &payments["results"][0]["recorded_by"]), (&json!(1), &Value::Null));
    let deal = server.get(&format!("{}deals/{}/", fixture.org, deal["id"]), anna).await.json();
    assert_eq!(deal["owner"]["username"], "anna");
}
