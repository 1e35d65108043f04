//! The community API: paths, fields and statuses that front ends rely on.

mod compat;
mod courses;
mod feed;
mod groups;
mod invites;
mod pictures;
mod posts;
mod removal;

use reqwest::Method;
use serde_json::Value;

use crate::server::{Response, TestServer, bearer};

const GROUPS: &str = "/api/community/groups/";
const POSTS: &str = "/api/community/posts/";

/// A server with three users, their authorization headers and ids.
struct Fixture {
    server: TestServer,
    anna: String,
    ben: String,
    eve: String,
    ids: [i64; 3],
}

impl Fixture {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let anna = server.sign_up("anna").await;
        let ben = server.sign_up("ben").await;
        let eve = server.sign_up("eve").await;
        let id = |signed_in: &Value| signed_in["user"]["id"].as_i64().unwrap();
        let ids = [id(&anna), id(&ben), id(&eve)];
        Self { server, anna: bearer(&anna), ben: bearer(&ben), eve: bearer(&eve), ids }
    }

    async fn send(&self, method: Method, path: &str, who: &str, body: Value) -> Response {
        let request = self.server.request(method, path).header("authorization", who);
        let request = if body.is_null() { request } else { request.json(&body) };
        self.server.send(request).await
    }

    async fn get(&self, path: &str, who: &str) -> Response {
        self.server.get(path, who).await
    }

    async fn post(&self, path: &str, who: &str, body: Value) -> Response {
        self.send(Method::POST, path, who, body).await
    }

    async fn delete(&self, path: &str, who: &str) -> Response {
        self.server.delete(path, who).await
    }

    async fn group(&self, body: Value) -> i64 {
        let response = self.post(GROUPS, &self.anna, body).await;
        assert_eq!(response.status, 201, "{}", response.text);
        response.json()["id"].as_i64().unwrap()
    }
}
