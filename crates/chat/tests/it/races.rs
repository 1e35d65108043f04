use std::time::Duration;

use guildhall_chat::{Messages, NewFile, NewMessage, NewRoom, Requests, Settings};
use guildhall_kernel::job::Job;
use sea_orm::{ConnectionTrait, DbBackend};

use crate::harness::{chat_with, code, person};

const CONNECTIONS: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_room_never_has_more_participants_than_it_may() {
    let harness = chat_with(CONNECTIONS, Settings::default().without_limits()).await;
    let new = NewRoom { auto_approve: true, max_participants: 10, ..NewRoom::named("den") };
    let room = harness.room_with(1, &[], new).await;
    let joins = (2..42).map(|user| {
        let chat = harness.chat.clone();
        tokio::spawn(async move { code(chat.join(&person(user), room).await) })
    });
    let mut outcomes = Vec::new();
    for join in joins.collect::<Vec<_>>() {
        outcomes.push(join.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "ok").count(), 9);
    assert!(outcomes.iter().all(|outcome| outcome == "ok" || outcome == "room_full"), "{outcomes:?}");
    assert_eq!(harness.card(1, room).await.participant_count, 10);
    let active = "SELECT COUNT(*) FROM chat_participant WHERE state = 'active'";
    assert_eq!(harness.db.query_i64(active).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_messages_are_numbered_without_gaps() {
    let harness = chat_with(CONNECTIONS, Settings::default().without_limits()).await;
    let room = harness.room_of(1, &[2, 3]).await;
    let sends = (0..60).map(|n| {
        let chat = harness.chat.clone();
        tokio::spawn(async move {
            let sent = chat.send(&person(1 + n % 3), room, NewMessage::text("x")).await;
            sent.unwrap().message.seq.unwrap()
        })
    });
    let mut numbers = Vec::new();
    for send in sends.collect::<Vec<_>>() {
        numbers.push(send.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (3..=62).collect::<Vec<_>>());
    assert!(harness.examine(false).await.unwrap().iter().all(|finding| !finding.is_error()));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_with_one_client_id_store_one_message() {
    let harness = chat_with(CONNECTIONS, Settings::default().without_limits()).await;
    let room = harness.room_of(1, &[]).await;
    let sends = (0..12).map(|_| {
        let chat = harness.chat.clone();
        tokio::spawn(async move {
            let new = NewMessage { client_id: Some("once".into()), ..NewMessage::text("x") };
            chat.send(&person(1), room, new).await.unwrap()
        })
    });
    let mut new = 0;
    for send in sends.collect::<Vec<_>>() {
        new += usize::from(!send.await.unwrap().duplicate);
    }
    assert_eq!((new, harness.db.count_rows("chat_message").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_asks_several_times_at_once_has_one_request() {
    let harness = chat_with(CONNECTIONS, Settings::default().without_limits()).await;
    let room = harness.room_of(1, &[]).await;
    let joins = (0..12).map(|_| {
        let chat = harness.chat.clone();
        tokio::spawn(async move { chat.join(&person(2), room).await.unwrap().is_new })
    });
    let mut new = 0;
    for join in joins.collect::<Vec<_>>() {
        new += usize::from(join.await.unwrap());
    }
    assert_eq!((new, harness.db.count_rows("chat_join_request").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_files_with_one_client_id_are_compared() {
    let harness = chat_with(CONNECTIONS, Settings::default().without_limits()).await;
    let room = harness.room_of(1, &[]).await;
    let sends = (0..12).map(|n| {
        let chat = harness.chat.clone();
        tokio::spawn(async move {
            let content = if n % 2 == 0 { "even" } else { "odd!" };
            let message = NewMessage { client_id: Some("once".into()), ..NewMessage::text("x") };
            let (name, content_type) = ("notes.txt".to_owned(), "text/plain".to_owned());
            let file = NewFile { name, content_type, bytes: content.into(), message };
            code(chat.send_file(&person(1), room, file).await)
        })
    });
    let mut outcomes = Vec::new();
    for send in sends.collect::<Vec<_>>() {
        outcomes.push(send.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "ok").count(), 6, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| ["ok", "idempotency_mismatch"].contains(&outcome.as_str())), "{outcomes:?}");
    assert_eq!(harness.db.count_rows("chat_message").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_approved_while_requests_expire_stays_approved() {
    let harness = chat_with(CONNECTIONS, Settings::default().without_limits()).await;
    let room = harness.room_of(1, &[]).await;
    harness.ask(2, room).await;
    harness.clock.advance(Duration::from_secs(31 * 24 * 3600));
    let (chat, database) = (&harness.chat, &harness.db);
    let expiry = database
        .write(|tx| async move {
            tx.execute_unprepared("UPDATE chat_join_request SET status = 'approved', decided_at = created_at").await?;
            let chat = chat.clone();
            let expiry = tokio::spawn(async move { Job::run(&chat).await });
            // On SQLite the job waits for this transaction before it selects anything.
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND wait_event_type = 'Lock'";
            while database.backend() == DbBackend::Postgres && database.query_i64(waiting).await == 0 {
                tokio::task::yield_now().await;
            }
            Ok::<_, sea_orm::DbErr>(expiry)
        })
        .await
        .unwrap();
    expiry.await.unwrap().unwrap();
    assert_eq!(harness.db.query_i64("SELECT COUNT(*) FROM chat_join_request WHERE status = 'approved'").await, 1);
}
