//! Streams of groups and boards: who learns of changes without reloading.

use std::sync::Arc;

use guildhall_deals::{
    OrganizationId, PipelineId,
    event::{OrganizationDeleted, PipelineChanged},
};
use guildhall_kernel::{Caller, Roles, UserId};
use guildhall_realtime::{Delivery, Next, Position, Subscription};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    server::{TestServer, bearer},
    sockets::Socket,
};

const ORGS: &str = "/api/crm/organizations/";

/// Sends a request that has to succeed; returns the body of the response.
async fn send(server: &TestServer, method: Method, path: &str, who: &Value, body: Value) -> Value {
    let request = server.request(method, path).header("authorization", bearer(who));
    let response = server.send(if body.is_null() { request } else { request.json(&body) }).await;
    assert!(response.status.is_success(), "{path}: {} {}", response.status, response.text);
    response.json()
}

async fn post(server: &TestServer, path: &str, who: &Value, body: Value) -> Value {
    send(server, Method::POST, path, who, body).await
}

/// A socket of a user who follows a stream.
async fn follow(server: &TestServer, who: &Value, stream: &str) -> Socket {
    let mut socket = Socket::of(server, "/ws/", who).await;
    socket.send(json!({ "type": "subscribe", "stream": stream })).await;
    assert_eq!(socket.next().await["type"], "subscribed");
    socket
}

/// Asserts that the user may not follow a stream.
async fn assert_refused(server: &TestServer, who: &Value, stream: &str) {
    let mut socket = Socket::of(server, "/ws/", who).await;
    socket.send(json!({ "type": "subscribe", "stream": stream })).await;
    assert_eq!(socket.next().await["type"], "error");
}

/// Asserts that the subscription ends after access was checked, and that nothing comes after it.
async fn assert_ended(socket: &mut Socket) {
    let mut last = json!(null);
    loop {
        let frame = socket.next().await;
        if frame["type"] == "unsubscribed" {
            assert_eq!(last, "access_changed");
            break;
        }
        last = frame["type"].clone();
    }
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await["type"], "pong");
}

async fn group(server: &TestServer, owner: &Value, is_private: bool) -> i64 {
    let new = json!({ "name": "den", "is_private": is_private, "is_listed": true });
    post(server, "/api/community/groups/", owner, new).await["id"].as_i64().unwrap()
}

async fn write_post(server: &TestServer, group: i64, author: &Value) {
    post(server, "/api/community/posts/", author, json!({ "content": "hello", "group": group })).await;
}

#[tokio::test]
async fn who_leaves_a_public_group_still_learns_of_new_posts() {
    let server = TestServer::start().await;
    let (anna, ben) = (server.sign_up("anna").await, server.sign_up("ben").await);
    let group = group(&server, &anna, false).await;
    post(&server, &format!("/api/community/groups/{group}/join/"), &ben, json!({})).await;
    let mut socket = follow(&server, &ben, &format!("group/{group}")).await;
    post(&server, &format!("/api/community/groups/{group}/leave/"), &ben, json!({})).await;
    assert_eq!(socket.next().await["type"], "access_changed");
    write_post(&server, group, &anna).await;
    assert_eq!(socket.next().await["type"], "feed_changed");
}

#[tokio::test]
async fn who_leaves_a_private_group_learns_of_no_further_post() {
    let server = TestServer::start().await;
    let (anna, ben) = (server.sign_up("anna").await, server.sign_up("ben").await);
    let group = group(&server, &anna, true).await;
    let requested = post(&server, &format!("/api/community/groups/{group}/join/"), &ben, json!({})).await;
    let request = &requested["request_id"];
    post(&server, &format!("/api/community/groups/{group}/requests/{request}/approve/"), &anna, json!({})).await;
    let mut socket = follow(&server, &ben, &format!("group/{group}")).await;
    post(&server, &format!("/api/community/groups/{group}/leave/"), &ben, json!({})).await;
    write_post(&server, group, &anna).await;
    assert_ended(&mut socket).await;
}

#[tokio::test]
async fn a_group_that_becomes_private_ends_the_subscriptions_of_everybody_else() {
    let server = TestServer::start().await;
    let (anna, ben) = (server.sign_up("anna").await, server.sign_up("ben").await);
    let group = group(&server, &anna, false).await;
    let stream = format!("group/{group}");
    let mut visitor = follow(&server, &ben, &stream).await;
    let mut owner = follow(&server, &anna, &stream).await;
    let path = format!("/api/community/groups/{group}/");
    send(&server, Method::PATCH, &path, &anna, json!({ "is_private": true })).await;
    write_post(&server, group, &anna).await;
    assert_ended(&mut visitor).await;
    assert_eq!(owner.next().await["type"], "access_changed");
    assert_eq!(owner.next().await["type"], "feed_changed");
}

/// A subscription in the process of the server, to see events before they are sent.
async fn subscribe(server: &TestServer, who: &Value, stream: &str) -> Subscription {
    let caller = Caller::new(UserId(who["user"]["id"].as_i64().unwrap()), Roles::default());
    let (stream, wake) = (stream.parse().unwrap(), Arc::default());
    let started = server.services().streams.subscribe(&caller, &stream, Position::default(), &wake).await.unwrap();
    started.subscription
}

/// The type of the next event, and the user that it concerns.
async fn next_event(subscription: &mut Subscription) -> (String, Option<UserId>) {
    loop {
        if let Next::Deliver(deliveries) = subscription.poll(1) {
            let [Delivery::Frame(frame)] = &deliveries[..] else { panic!("{deliveries:?}") };
            let body: Value = serde_json::from_str(frame.body()).unwrap();
            return (body["type"].as_str().unwrap().to_owned(), frame.removes);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn access_to_a_group_is_checked_only_of_those_whose_access_may_have_ended() {
    let server = TestServer::start().await;
    let (anna, ben) = (server.sign_up("anna").await, server.sign_up("ben").await);
    let group = group(&server, &anna, false).await;
    let path = format!("/api/community/groups/{group}/");
    let mut subscription = subscribe(&server, &anna, &format!("group/{group}")).await;
    post(&server, &format!("{path}join/"), &ben, json!({})).await;
    post(&server, &format!("{path}leave/"), &ben, json!({})).await;
    let ben = Some(UserId(ben["user"]["id"].as_i64().unwrap()));
    assert_eq!(next_event(&mut subscription).await, ("access_changed".to_owned(), ben));
    send(&server, Method::PATCH, &path, &anna, json!({ "description": "quiet" })).await;
    server.handle_events().await;
    write_post(&server, group, &anna).await;
    assert_eq!(next_event(&mut subscription).await, ("feed_changed".to_owned(), None), "no check after the edit");
    send(&server, Method::PATCH, &path, &anna, json!({ "is_private": true })).await;
    assert_eq!(next_event(&mut subscription).await, ("access_changed".to_owned(), None));
}

#[tokio::test]
async fn the_stream_of_a_deleted_group_ends() {
    let server = TestServer::start().await;
    let anna = server.sign_up("anna").await;
    let group = group(&server, &anna, false).await;
    let mut socket = follow(&server, &anna, &format!("group/{group}")).await;
    write_post(&server, group, &anna).await;
    assert_eq!(socket.next().await["type"], "feed_changed");
    let request = server.request(Method::DELETE, &format!("/api/community/groups/{group}/"));
    let deleted = server.send(request.header("authorization", bearer(&anna))).await;
    assert!(deleted.status.is_success(), "{}", deleted.text);
    assert_eq!(socket.next().await["type"], "unsubscribed");
}

/// An organization of Anna, with Ben and Eve as members.
struct Organization {
    /// Its path.
    path: String,
    /// The stream of its board.
    stream: String,
    roles: Vec<Value>,
    /// The membership of Eve.
    member: Value,
}

impl Organization {
    fn role(&self, name: &str) -> &Value {
        &self.roles.iter().find(|role| role["name"] == name).unwrap()["id"]
    }
}

async fn join(server: &TestServer, path: &str, owner: &Value, (who, role): (&Value, &Value)) -> Value {
    let new = json!({ "user_id": who["user"]["id"], "role_id": role });
    let member = post(server, &format!("{path}members/"), owner, new).await["id"].clone();
    post(server, &format!("/api/crm/invitations/{member}/accept/"), who, Value::Null).await;
    member
}

async fn organization(server: &TestServer, [anna, ben, eve]: [&Value; 3]) -> Organization {
    let org = post(server, ORGS, anna, json!({ "name": "Acme" })).await["id"].clone();
    let path = format!("{ORGS}{org}/");
    let roles = server.get(&format!("{path}roles/"), &bearer(anna)).await.json()["results"].as_array().unwrap().clone();
    let of = |name: &str| &roles.iter().find(|role| role["name"] == name).unwrap()["id"];
    join(server, &path, anna, (ben, of("Salesperson"))).await;
    let member = join(server, &path, anna, (eve, of("Viewer"))).await;
    Organization { path, stream: format!("deals_board/{org}"), roles, member }
}

#[tokio::test]
async fn followers_of_a_board_are_notified_of_changes_without_details_of_the_deal() {
    let server = TestServer::start().await;
    let [anna, ben, eve] = [server.sign_up("anna").await, server.sign_up("ben").await, server.sign_up("eve").await];
    let org = organization(&server, [&anna, &ben, &eve]).await;
    let path = &org.path;
    let client = post(&server, &format!("{path}clients/"), &anna, json!({ "name": "Global" })).await["id"].clone();
    server.handle_events().await;
    let mut own = follow(&server, &ben, &org.stream).await;
    assert_eq!(own.next().await["seq"], 1, "the stream begins");
    let mut all = follow(&server, &eve, &org.stream).await;
    let new = json!({ "client_id": client, "title": "Website", "value": "100" });
    let deal = post(&server, &format!("{path}deals/"), &anna, new).await["id"].clone();
    let deal = format!("{path}deals/{deal}/");
    let changed = async |own: &mut Socket, all: &mut Socket, number: i64| {
        let expected = json!({ "type": "board_changed", "stream": org.stream, "seq": number });
        assert_eq!([own.next().await, all.next().await], [expected.clone(), expected]);
    };
    changed(&mut own, &mut all, 2).await;
    send(&server, Method::PATCH, &deal, &anna, json!({ "title": "Shop" })).await;
    changed(&mut own, &mut all, 3).await;
    post(&server, &format!("{deal}lose/"), &anna, json!({ "reason": "price" })).await;
    changed(&mut own, &mut all, 4).await;
    send(&server, Method::DELETE, &deal, &anna, Value::Null).await;
    changed(&mut own, &mut all, 5).await;
    let trash = server.get(&format!("{path}trash/"), &bearer(&anna)).await.json()["results"][0]["id"].clone();
    post(&server, &format!("{path}trash/{trash}/restore/"), &anna, Value::Null).await;
    changed(&mut own, &mut all, 6).await;
    let outsider = server.sign_up("outsider").await;
    assert_refused(&server, &outsider, &org.stream).await;
    assert_refused(&server, &anna, "deals_board/404").await;
}

/// How many boards have a stream.
async fn stored_boards(server: &TestServer) -> i64 {
    let stored = server.query_one("SELECT COUNT(*) FROM realtime_stream WHERE name LIKE 'deals_board/%'").await;
    stored.try_get_by_index(0).unwrap()
}

/// Changes a board.
async fn change_board(server: &TestServer, org: &Organization, owner: &Value) {
    post(server, &format!("{}clients/", org.path), owner, json!({ "name": "Global" })).await;
    let clients = server.get(&format!("{}clients/", org.path), &bearer(owner)).await.json();
    let new = json!({ "client_id": clients["results"][0]["id"], "title": "Website", "value": "100" });
    post(server, &format!("{}deals/", org.path), owner, new).await;
}

#[tokio::test]
async fn a_board_is_not_followed_any_more_after_leaving_or_removal() {
    let server = TestServer::start().await;
    let [anna, ben, eve] = [server.sign_up("anna").await, server.sign_up("ben").await, server.sign_up("eve").await];
    let org = organization(&server, [&anna, &ben, &eve]).await;
    server.handle_events().await;
    let mut leaving = follow(&server, &ben, &org.stream).await;
    leaving.next_of("board_changed").await;
    let mut removed = follow(&server, &eve, &org.stream).await;
    post(&server, &format!("{}leave/", org.path), &ben, Value::Null).await;
    server.handle_events().await;
    change_board(&server, &org, &anna).await;
    assert_ended(&mut leaving).await;
    removed.next_of("board_changed").await;
    let path = format!("{}members/{}/", org.path, org.member);
    send(&server, Method::DELETE, &path, &anna, Value::Null).await;
    server.handle_events().await;
    change_board(&server, &org, &anna).await;
    assert_ended(&mut removed).await;
}

#[tokio::test]
async fn a_board_is_not_followed_any_more_without_the_permission() {
    let server = TestServer::start().await;
    let [anna, ben, eve] = [server.sign_up("anna").await, server.sign_up("ben").await, server.sign_up("eve").await];
    let org = organization(&server, [&anna, &ben, &eve]).await;
    server.handle_events().await;
    let mut salesperson = follow(&server, &ben, &org.stream).await;
    salesperson.next_of("board_changed").await;
    let mut viewer = follow(&server, &eve, &org.stream).await;
    let role = format!("{}roles/{}/", org.path, org.role("Viewer"));
    send(&server, Method::PATCH, &role, &anna, json!({ "permissions": ["member.read"] })).await;
    server.handle_events().await;
    change_board(&server, &org, &anna).await;
    assert_ended(&mut viewer).await;
    assert_refused(&server, &eve, &org.stream).await;
    assert_eq!(salesperson.next().await["type"], "access_changed");
    assert_eq!(salesperson.next().await["type"], "board_changed");
}

#[tokio::test]
async fn a_deleted_organization_ends_the_subscriptions_to_its_board() {
    let server = TestServer::start().await;
    let [anna, ben, eve] = [server.sign_up("anna").await, server.sign_up("ben").await, server.sign_up("eve").await];
    let org = organization(&server, [&anna, &ben, &eve]).await;
    let mut socket = follow(&server, &anna, &org.stream).await;
    send(&server, Method::DELETE, &org.path, &anna, Value::Null).await;
    socket.next_of("unsubscribed").await;
    server.handle_events().await;
    assert_eq!(stored_boards(&server).await, 0);
}

#[tokio::test]
async fn events_from_before_the_deletion_of_an_organization_do_not_bring_its_stream_back() {
    let server = TestServer::start().await;
    let [anna, ben, eve] = [server.sign_up("anna").await, server.sign_up("ben").await, server.sign_up("eve").await];
    let org = organization(&server, [&anna, &ben, &eve]).await;
    server.handle_events().await;
    let mut socket = follow(&server, &anna, &org.stream).await;
    socket.next_of("board_changed").await;
    let organization_id = OrganizationId(org.stream.rsplit('/').next().unwrap().parse().unwrap());
    let emitted = server.services().db.write(|tx| async move {
        // Of different aggregates, so that their order is not that of their numbers.
        tx.emit(&PipelineChanged { organization_id, pipeline: PipelineId(1) }).await?;
        tx.emit(&OrganizationDeleted { organization_id }).await?;
        tx.emit(&PipelineChanged { organization_id, pipeline: PipelineId(2) }).await
    });
    emitted.await.unwrap();
    server.handle_events().await;
    assert_eq!(stored_boards(&server).await, 0);
}

#[tokio::test]
async fn followers_of_a_board_are_notified_of_changed_columns() {
    let server = TestServer::start().await;
    let [anna, ben, eve] = [server.sign_up("anna").await, server.sign_up("ben").await, server.sign_up("eve").await];
    let org = organization(&server, [&anna, &ben, &eve]).await;
    server.handle_events().await;
    let mut socket = follow(&server, &eve, &org.stream).await;
    assert_eq!(socket.next().await["seq"], 1, "the stream begins");
    let pipelines = server.get(&format!("{}pipelines/", org.path), &bearer(&anna)).await.json();
    let pipeline = &pipelines["results"][0];
    let stage = format!("{}pipelines/{}/stages/{}/", org.path, pipeline["id"], pipeline["stages"][0]["id"]);
    send(&server, Method::PATCH, &stage, &anna, json!({ "name": "Review" })).await;
    let changed = json!({ "type": "board_changed", "stream": org.stream, "seq": 2 });
    assert_eq!(socket.next().await, changed);
}

#[tokio::test]
async fn changes_of_a_board_that_nobody_has_followed_are_not_stored() {
    let server = TestServer::start().await;
    let [anna, ben, eve] = [server.sign_up("anna").await, server.sign_up("ben").await, server.sign_up("eve").await];
    let org = organization(&server, [&anna, &ben, &eve]).await;
    change_board(&server, &org, &anna).await;
    server.handle_events().await;
    assert_eq!(stored_boards(&server).await, 0);
}
