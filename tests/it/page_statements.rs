//! The number of statements of a page does not grow with what it shows.

use std::time::Duration;

use guildhall_kernel::Roles;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{TestServer, bearer};

/// How often a page is measured at most, and the pause after each time.
const MEASUREMENTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(25);

/// The cookie that signing in on the page would set.
fn cookie(signed_in: &Value) -> String {
    let token = |name: &str| signed_in[name].as_str().unwrap().to_owned();
    format!("session=9999999999~a-number-of-a-test~{}~{}", token("access"), token("refresh"))
}

struct Filled {
    server: TestServer,
    anna: Value,
    group: i64,
    room: i64,
    org: i64,
    client: i64,
}

impl Filled {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let roles = Roles { teacher: true, staff: true, superuser: true };
        let anna = server.sign_up_with_roles("anna", roles).await;
        let mut filled = Self { server, anna, group: 0, room: 0, org: 0, client: 0 };
        let anna = filled.anna.clone();
        filled.group = filled.post(&anna, "/api/community/groups/", json!({ "name": "Readers" })).await;
        let room = json!({ "name": "Den", "auto_approve": true });
        filled.room = filled.post(&anna, "/api/chat/create/", room).await;
        filled.org = filled.post(&anna, "/api/crm/organizations/", json!({ "name": "Acme", "currency": "EUR" })).await;
        filled.client = filled.post(&anna, &filled.crm("clients/"), json!({ "name": "First" })).await;
        filled
    }

    fn crm(&self, path: &str) -> String {
        format!("/api/crm/organizations/{}/{path}", self.org)
    }

    /// Sends a request, and returns the id in the response.
    async fn post(&self, who: &Value, path: &str, body: Value) -> i64 {
        let response = self.server.post(path, &bearer(who), body).await;
        assert!(response.status.is_success(), "{path}: {} {}", response.status, response.text);
        let answer = response.json();
        [&answer["id"], &answer["room"]["id"]].into_iter().find_map(Value::as_i64).unwrap_or_default()
    }

    /// Adds somebody, and something of everything by them.
    async fn add(&self, number: usize) {
        let name = format!("person{number}");
        let person = self.server.sign_up(&name).await;
        let (anna, group, room) = (&self.anna, self.group, self.room);
        self.post(&person, &format!("/api/community/groups/{group}/join/"), json!({})).await;
        self.post(&person, "/api/community/groups/", json!({ "name": format!("Group of {name}") })).await;
        let post = json!({ "title": name, "content": "A word for @anna", "group": group });
        let post = self.post(&person, "/api/community/posts/", post).await;
        let first = format!("/api/community/posts/{}/", post.min(1));
        self.post(&person, &format!("{first}comments/"), json!({ "content": "A comment" })).await;
        let reaction = self.server.request(Method::PUT, &format!("{first}reactions/like/"));
        assert!(self.server.send(reaction.header("authorization", bearer(&person))).await.status.is_success());
        for content in ["A word", "Another one"] {
            let message = json!({ "receiver_id": anna["user"]["id"], "content": content });
            self.post(&person, "/messaging/api/send/", message).await;
            let message = json!({ "receiver_id": person["user"]["id"], "content": content });
            self.post(anna, "/messaging/api/send/", message).await;
        }
        self.post(&person, &format!("/api/chat/{room}/join/"), json!({})).await;
        self.post(&person, &format!("/api/chat/{room}/messages/"), json!({ "content": "A word" })).await;
        let client = self.post(anna, &self.crm("clients/"), json!({ "name": name })).await;
        for client in [client, self.client] {
            let deal = json!({ "title": name, "client_id": client, "value": "100.00" });
            self.post(anna, &self.crm("deals/"), deal).await;
        }
        self.server.handle_events().await;
    }

    /// How many statements a page costs.
    async fn cost(&self, path: &str) -> u64 {
        let (db, cookie) = (&self.server.services().db, cookie(&self.anna));
        // The minimum of several measurements, because background tasks also run statements: one that was seen often.
        let (mut minimum, mut seen) = (u64::MAX, 0);
        for _ in 0..MEASUREMENTS {
            let before = db.statements();
            let request = self.server.request(Method::GET, path);
            let page = self.server.send(request.header("cookie", &cookie).header("accept", "text/html")).await;
            assert_eq!(page.status, 200, "{path}");
            let cost = db.statements() - before;
            seen = if cost < minimum { 1 } else { seen + u64::from(cost == minimum) };
            minimum = minimum.min(cost);
            if seen == 3 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        minimum
    }

    async fn costs(&self) -> Vec<(String, u64)> {
        let (group, room, org, partner) = (self.group, self.room, self.org, 2);
        let paths = [
            "/".to_owned(),
            "/posts/1/".to_owned(),
            "/groups/".to_owned(),
            format!("/groups/{group}/"),
            format!("/groups/{group}/members/"),
            "/people/".to_owned(),
            "/search/?q=word".to_owned(),
            "/notifications/".to_owned(),
            "/messaging/".to_owned(),
            format!("/messaging/conversation/{partner}/"),
            "/rooms/".to_owned(),
            format!("/rooms/{room}/"),
            format!("/rooms/{room}/people/"),
            format!("/deals/{org}/board/"),
            format!("/deals/{org}/list/"),
            format!("/deals/{org}/clients/"),
            format!("/deals/{org}/clients/{}/", self.client),
            format!("/deals/{org}/deals/1/"),
            "/admin/users/".to_owned(),
            "/admin/community_post/".to_owned(),
        ];
        let mut costs = Vec::new();
        for path in paths {
            let cost = self.cost(&path).await;
            costs.push((path, cost));
        }
        costs
    }
}

#[tokio::test]
async fn a_page_costs_as_many_statements_however_much_it_shows() {
    let filled = Filled::new().await;
    for number in 0..2 {
        filled.add(number).await;
    }
    let few = filled.costs().await;
    for number in 2..14 {
        filled.add(number).await;
    }
    for ((path, many), (_, few)) in filled.costs().await.into_iter().zip(&few) {
        // A list of several pages is counted as well, where counts are not kept.
        assert!(many <= *few + 1, "{path}: {many}, and {few} with less to show");
    }
    assert!(few.iter().all(|(_, statements)| *statements < 40), "{few:?}");
}
