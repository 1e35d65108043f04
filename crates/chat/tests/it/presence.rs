use std::{sync::Arc, time::Duration};

use guildhall_chat::{Hosts, Messages, Participant, Participants, RoomId, Settings};
use guildhall_kernel::{CursorQuery, PageQuery, UserId};
use guildhall_realtime::{Delivery, Next, Notice, Position, StreamHandler, Subscription};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Harness, chat, chat_with, person, stream};

const GRACE: Duration = Duration::from_secs(30);

/// Waits until the hooks have stored what the sockets have reported.
async fn settled(harness: &Harness, sql: &str, expected: i64) {
    for _ in 0..500 {
        if harness.db.query_i64(sql).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{sql} is not {expected}");
}

const CONNECTED: &str = "SELECT COUNT(*) FROM chat_host_connection";
const AWAY: &str = "SELECT COUNT(*) FROM chat_room WHERE host_away_since IS NOT NULL";

async fn connected_host(harness: &Harness, room: RoomId) -> Subscription {
    let host = harness.follow(1, room).await.unwrap();
    settled(harness, CONNECTED, 1).await;
    host
}

/// Waits until a change of the connections of a user is recorded.
async fn recorded(harness: &Harness, room: RoomId, user: i64) {
    harness.handler.follower_changed(&stream(room), UserId(user)).await;
}

/// Stores a connection of a host to a process that has crashed.
async fn connect_crashed(harness: &Harness, room: RoomId) {
    let now = harness.db.query_i64("SELECT MAX(created_at) FROM chat_room").await;
    let row = format!("INSERT INTO chat_host_connection (room_id, node, seen_at) VALUES ({room}, 'crashed', {now})");
    harness.db.sql(&row).await.unwrap();
}

fn transient(subscription: &mut Subscription, kind: &str) -> Vec<Value> {
    let mut all = Vec::new();
    while let Next::Deliver(deliveries) = subscription.poll(64) {
        for delivery in deliveries {
            if let Delivery::Transient(body) = delivery {
                all.push(serde_json::from_str::<Value>(&body).unwrap());
            }
        }
    }
    all.retain(|event| event["type"] == kind);
    all
}

#[tokio::test]
async fn a_room_closes_when_its_host_is_away_for_longer_than_the_grace() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let mut other = harness.follow(2, room).await.unwrap();
    let host = connected_host(&harness, room).await;
    drop(host);
    settled(&harness, AWAY, 1).await;
    let away = transient(&mut other, "host_away");
    assert_eq!(away.len(), 1);
    assert_eq!(away[0]["closes_at"], json!(harness.card(2, room).await.closes_at.unwrap()));
    harness.close_abandoned().await.unwrap();
    assert!(harness.card(2, room).await.is_active);
    harness.clock.advance(GRACE);
    harness.close_abandoned().await.unwrap();
    assert!(!harness.card(2, room).await.is_active);
    let history = harness.messages(&person(2), room, CursorQuery::newest(1)).await.unwrap();
    assert_eq!(history.results[0].content, "Host person-1 left. Room closed.");
    while let Next::Deliver(_) = other.poll(64) {}
    assert!(matches!(other.poll(64), Next::Ended));
}

#[tokio::test]
async fn a_host_who_comes_back_in_time_keeps_the_room_open() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let mut other = harness.follow(2, room).await.unwrap();
    drop(connected_host(&harness, room).await);
    settled(&harness, AWAY, 1).await;
    let host = harness.follow(1, room).await.unwrap();
    settled(&harness, AWAY, 0).await;
    harness.clock.advance(2 * GRACE);
    harness.close_abandoned().await.unwrap();
    assert!(harness.card(2, room).await.is_active);
    assert_eq!(transient(&mut other, "host_back"), [json!({"type": "host_back"})]);
    drop(host);
}

#[tokio::test]
async fn only_the_last_connection_of_the_host_counts() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let first = connected_host(&harness, room).await;
    let second = harness.follow(1, room).await.unwrap();
    drop(first);
    drop(harness.follow(2, room).await.unwrap());
    recorded(&harness, room, 1).await;
    recorded(&harness, room, 2).await;
    assert_eq!(harness.db.query_i64(AWAY).await, 0);
    drop(second);
    settled(&harness, AWAY, 1).await;
}

#[tokio::test]
async fn a_host_without_a_socket_is_not_away() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    harness.clock.advance(10 * GRACE);
    harness.confirm_hosts().await.unwrap();
    harness.close_abandoned().await.unwrap();
    assert!(harness.card(2, room).await.is_active);
}

#[tokio::test]
async fn without_a_grace_the_room_closes_at_once() {
    let settings = Settings { host_grace_seconds: 0, ..Settings::default().without_limits() };
    let harness = chat_with(1, settings).await;
    let room = harness.room_of(1, &[2]).await;
    drop(connected_host(&harness, room).await);
    settled(&harness, "SELECT COUNT(*) FROM chat_room WHERE NOT is_active", 1).await;
    assert_eq!(harness.history(2, room).await.last().unwrap(), "Host person-1 left. Room closed.");
}

#[tokio::test]
async fn a_start_of_the_server_begins_the_grace_anew() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    drop(connected_host(&harness, room).await);
    settled(&harness, AWAY, 1).await;
    harness.clock.advance(100 * GRACE);
    harness.restart_grace().await.unwrap();
    harness.close_abandoned().await.unwrap();
    assert!(harness.card(2, room).await.is_active);
    harness.clock.advance(GRACE);
    harness.close_abandoned().await.unwrap();
    assert!(!harness.card(2, room).await.is_active);
}

#[tokio::test]
async fn the_connections_of_a_process_that_has_crashed_are_noticed() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    connect_crashed(&harness, room).await;
    harness.confirm_hosts().await.unwrap();
    assert_eq!((harness.db.query_i64(CONNECTED).await, harness.db.query_i64(AWAY).await), (1, 0));
    harness.clock.advance(Duration::from_secs(31));
    harness.confirm_hosts().await.unwrap();
    assert_eq!((harness.db.query_i64(CONNECTED).await, harness.db.query_i64(AWAY).await), (0, 1));
    harness.close_abandoned().await.unwrap();
    assert!(harness.card(2, room).await.is_active, "the grace begins when it is noticed");
}

#[tokio::test]
async fn a_confirmed_connection_lasts() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let host = connected_host(&harness, room).await;
    for _ in 0..5 {
        harness.clock.advance(Duration::from_secs(20));
        harness.confirm_hosts().await.unwrap();
    }
    assert_eq!((harness.db.query_i64(CONNECTED).await, harness.db.query_i64(AWAY).await), (1, 0));
    drop(host);
}

#[tokio::test]
async fn a_new_host_is_the_one_who_counts() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let host = connected_host(&harness, room).await;
    let next = harness.follow(2, room).await.unwrap();
    harness.hand_over(&person(1), room, UserId(2)).await.unwrap();
    drop(host);
    recorded(&harness, room, 1).await;
    assert_eq!((harness.db.query_i64(CONNECTED).await, harness.db.query_i64(AWAY).await), (1, 0));
    drop(next);
    settled(&harness, AWAY, 1).await;
}

#[tokio::test]
async fn a_lost_connection_of_a_host_who_is_here_is_stored_again() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let host = connected_host(&harness, room).await;
    let mut other = harness.follow(2, room).await.unwrap();
    harness.db.sql("DELETE FROM chat_host_connection").await.unwrap();
    harness.db.sql("UPDATE chat_room SET host_away_since = created_at").await.unwrap();
    harness.clock.advance(2 * GRACE);
    harness.close_abandoned().await.unwrap();
    assert!(harness.card(2, room).await.is_active);
    harness.confirm_hosts().await.unwrap();
    assert_eq!((harness.db.query_i64(CONNECTED).await, harness.db.query_i64(AWAY).await), (1, 0));
    assert_eq!(transient(&mut other, "host_back").len(), 1);
    drop(host);
}

#[tokio::test]
async fn a_room_stays_open_whose_host_is_connected_to_another_process_that_could_not_store_it() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    harness.db.sql("UPDATE chat_room SET host_away_since = created_at").await.unwrap();
    let (joined, left) = (vec![(stream(room), UserId(1))], Vec::new());
    harness.clock.advance(2 * GRACE);
    harness.streams.receive(Notice::Followers { process: 7, joined, left });
    harness.close_abandoned().await.unwrap();
    assert!(harness.card(2, room).await.is_active);
    harness.clock.advance(2 * GRACE);
    harness.streams.report_followers(true);
    harness.close_abandoned().await.unwrap();
    assert!(!harness.card(2, room).await.is_active, "the other process has crashed");
}

#[tokio::test]
async fn a_room_that_cannot_be_closed_does_not_keep_others_open() {
    let harness = chat().await;
    let (broken, room) = (harness.room_of(1, &[2]).await, harness.room_of(1, &[2]).await);
    harness.db.sql(&format!("UPDATE chat_room SET last_seq = last_seq + 5 WHERE id = {broken}")).await.unwrap();
    harness.db.sql("UPDATE chat_room SET host_away_since = created_at").await.unwrap();
    harness.clock.advance(2 * GRACE);
    harness.close_abandoned().await.unwrap();
    assert_eq!((harness.card(2, broken).await.is_active, harness.card(2, room).await.is_active), (true, false));
}

#[tokio::test]
async fn a_room_whose_connections_cannot_be_updated_does_not_keep_others_from_it() {
    let settings = Settings { host_grace_seconds: 0, ..Settings::default().without_limits() };
    let harness = chat_with(1, settings).await;
    let (broken, room) = (harness.room_of(1, &[2]).await, harness.room_of(1, &[2]).await);
    let confirmed = harness.room_of(1, &[2]).await;
    let host = connected_host(&harness, confirmed).await;
    connect_crashed(&harness, broken).await;
    connect_crashed(&harness, room).await;
    harness.db.sql(&format!("UPDATE chat_room SET last_seq = last_seq + 5 WHERE id = {broken}")).await.unwrap();
    harness.clock.advance(Duration::from_secs(31));
    harness.confirm_hosts().await.unwrap();
    assert_eq!((harness.card(2, broken).await.is_active, harness.card(2, room).await.is_active), (true, false));
    assert!(harness.card(2, confirmed).await.is_active);
    drop(host);
}

#[tokio::test]
async fn the_connections_of_a_crashed_process_are_deleted_while_the_host_is_connected_to_another() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let host = connected_host(&harness, room).await;
    connect_crashed(&harness, room).await;
    harness.clock.advance(Duration::from_secs(31));
    harness.confirm_hosts().await.unwrap();
    let stale = "SELECT COUNT(*) FROM chat_host_connection WHERE node = 'crashed'";
    assert_eq!((harness.db.query_i64(stale).await, harness.db.query_i64(CONNECTED).await), (0, 1));
    assert_eq!(harness.db.query_i64(AWAY).await, 0);
    drop(host);
}

#[tokio::test]
async fn the_presence_of_people_who_come_and_go_is_published() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let wake = Arc::new(Notify::new());
    let follow = async |user| {
        let started = harness.streams.subscribe(&person(user), &stream(room), Position::default(), &wake).await;
        recorded(&harness, room, user).await;
        started.unwrap().subscription
    };
    let mut watcher = follow(1).await;
    harness.publish_activity().await.unwrap();
    transient(&mut watcher, "presence");
    let other = follow(2).await;
    harness.publish_activity().await.unwrap();
    let published = transient(&mut watcher, "presence");
    assert_eq!((published.len(), &published[0]["user"]["id"], &published[0]["online"]), (1, &json!(2), &json!(true)));
    drop(other);
    recorded(&harness, room, 2).await;
    harness.publish_activity().await.unwrap();
    assert!(transient(&mut watcher, "presence").is_empty());
    harness.clock.advance(Duration::from_secs(15));
    harness.publish_activity().await.unwrap();
    assert_eq!(transient(&mut watcher, "presence")[0]["online"], false);
}

#[tokio::test]
async fn who_is_in_a_room_over_other_processes_is_online() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    let mut own = harness.follow(2, room).await.unwrap();
    recorded(&harness, room, 2).await;
    harness.publish_activity().await.unwrap();
    transient(&mut own, "presence");
    let is_online = async || {
        let people = harness.participants(&person(2), room, PageQuery::new(1, 20)).await.unwrap().results;
        let is_third = |participant: &&Participant| participant.user.as_ref().is_some_and(|user| user.id == UserId(3));
        people.iter().find(is_third).unwrap().is_online
    };
    let report = |joined: &[i64], left: &[i64]| {
        let followers = |ids: &[i64]| ids.iter().map(|id| (stream(room), UserId(*id))).collect();
        let (joined, left) = (followers(joined), followers(left));
        harness.streams.receive(Notice::Followers { process: 7, joined, left });
    };
    assert!(!is_online().await);
    report(&[3], &[]);
    assert!(is_online().await);
    harness.publish_activity().await.unwrap();
    let online = transient(&mut own, "presence");
    assert_eq!((online.len(), &online[0]["user"]["id"], &online[0]["online"]), (1, &json!(3), &json!(true)));
    // They move to this process: nothing changes.
    let here = harness.follow(3, room).await.unwrap();
    recorded(&harness, room, 3).await;
    report(&[], &[3]);
    harness.clock.advance(Duration::from_secs(20));
    harness.publish_activity().await.unwrap();
    assert!(transient(&mut own, "presence").is_empty());
    drop(here);
    let mut offline = Vec::new();
    for _ in 0..500 {
        // The end of the subscription is recorded by a task.
        tokio::time::sleep(Duration::from_millis(10)).await;
        harness.clock.advance(Duration::from_secs(20));
        harness.publish_activity().await.unwrap();
        offline.extend(transient(&mut own, "presence"));
        if !offline.is_empty() {
            break;
        }
    }
    assert_eq!((offline.len(), &offline[0]["online"]), (1, &json!(false)));
    // Nor does a process count that has crashed.
    report(&[3], &[]);
    harness.streams.report_followers(true);
    assert!(is_online().await);
    harness.clock.advance(Duration::from_secs(31));
    harness.streams.report_followers(true);
    assert!(!is_online().await);
}
