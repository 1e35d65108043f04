//! The deals API: paths, fields and statuses that front ends rely on.

mod imports;
mod members;
mod operations;
mod payments;
mod removal;

use serde_json::{Value, json};

use crate::server::{TestServer, bearer};

const ORGS: &str = "/api/crm/organizations/";

struct Fixture {
    server: TestServer,
    anna: String,
    ben: String,
    ben_id: i64,
    /// The path of Anna's organization.
    org: String,
}

async fn fixture() -> Fixture {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let ben = server.sign_up("ben").await;
    let created = server.post(ORGS, &anna, json!({"name": "Acme"})).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let body = created.json();
    assert_eq!(
        (&body["slug"], &body["is_test"], &body["default_currency"], &body["role"]),
        (&json!("acme"), &json!(false), &json!("USD"), &json!("Owner"))
    );
    let org = format!("{ORGS}{}/", body["id"]);
    Fixture { ben_id: ben["user"]["id"].as_i64().unwrap(), ben: bearer(&ben), anna, org, server }
}

impl Fixture {
    async fn create(&self, path: &str, who: &str, body: Value) -> Value {
        let response = self.server.post(&format!("{}{path}", self.org), who, body).await;
        assert_eq!(response.status, 201, "{path}: {}", response.text);
        response.json()
    }

    /// Invites Ben, who accepts. Returns the member.
    async fn add_ben(&self, role: &str) -> Value {
        let new = json!({"user_id": self.ben_id, "role_id": self.role(role).await});
        let invited = self.create("members/", &self.anna, new).await;
        assert_eq!(invited["status"], "invited");
        let accept = format!("/api/crm/invitations/{}/accept/", invited["id"]);
        let accepted = self.server.post(&accept, &self.ben, Value::Null).await;
        assert_eq!((accepted.status.as_u16(), &accepted.json()["status"]), (200, &json!("active")));
        accepted.json()
    }

    async fn role(&self, name: &str) -> i64 {
        let roles = self.server.get(&format!("{}roles/", self.org), &self.anna).await.json();
        let role = roles["results"].as_array().unwrap().iter().find(|role| role["name"] == name).unwrap();
        role["id"].as_i64().unwrap()
    }
}
