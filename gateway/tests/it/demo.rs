use std::time::Duration;

use guildhall_kernel::{Db, Timestamp, db};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::terminal::{Running, Terminal, client, code, text};

const PASSWORD: &str = "correct horse é";

/// The people who are worth signing in as.
const SIGN_INS: [&str; 4] = ["maren", "ngozi", "callum", "tomasz"];

fn create_user(terminal: &Terminal, name: &str, more: &[&str]) {
    let email = format!("{name}@example.net");
    let arguments = [&["user", "create", "--username", name, "--email", &email, "--password-stdin"], more].concat();
    assert_eq!(code(&terminal.run_with(&arguments, "another horse é\n")), 0);
}

fn create_demo(terminal: &Terminal) -> String {
    let output = terminal.run_with(&["demo", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!(code(&output), 0, "{}", text(&output));
    text(&output)
}

/// The first column of a query.
async fn numbers(db: &Db, sql: &str) -> Vec<i64> {
    let rows = db.conn().query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn count(db: &Db, table: &str) -> i64 {
    numbers(db, &format!("SELECT COUNT(*) FROM {table}")).await[0]
}

/// Signs in and returns the `Authorization` header.
async fn sign_in(server: &Running, name: &str) -> String {
    let body = json!({ "username": name, "password": PASSWORD });
    let response = client().post(format!("{}/api/auth/login/", server.url)).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200, "{name}");
    let body: Value = response.json().await.unwrap();
    format!("Bearer {}", body["access"].as_str().unwrap())
}

async fn get(server: &Running, authorization: &str, path: &str) -> Value {
    let request = client().get(format!("{}{path}", server.url)).header("authorization", authorization);
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn the_demo_fills_an_empty_installation_with_something_of_everything() {
    let terminal = Terminal::new().await;
    let output = create_demo(&terminal);
    for name in SIGN_INS {
        assert!(output.contains(name) && output.contains(PASSWORD), "{output}");
    }
    let db = Db::connect(&terminal.database_url(), 2).await.unwrap();
    for (table, least) in [
        ("users", 14),
        ("community_group", 6),
        ("community_group WHERE is_private", 2),
        ("community_join_request WHERE status = 'pending'", 2),
        ("community_invite", 5),
        ("community_post", 40),
        ("community_poll", 2),
        ("community_comment", 60),
        ("community_reaction", 100),
        ("community_mention", 8),
        ("community_bookmark", 10),
        ("community_follow", 15),
        ("community_course", 2),
        ("community_lesson", 10),
        ("community_event", 5),
        ("community_rsvp", 20),
        ("messaging_conversation", 10),
        ("messaging_message", 100),
        ("messaging_reaction", 5),
        ("messaging_member WHERE state = 'requested'", 2),
        ("chat_room", 3),
        ("chat_room WHERE NOT is_active", 1),
        ("chat_join_request WHERE status = 'pending'", 1),
        ("deals_organization", 1),
        ("deals_member", 7),
        ("deals_stage", 6),
        ("deals_client", 12),
        ("deals_contact", 12),
        ("deals_deal", 25),
        ("deals_payment WHERE state = 'verified'", 3),
        ("deals_payment WHERE state = 'pending'", 2),
        ("deals_payment WHERE state = 'rejected'", 1),
        ("deals_task", 10),
        ("deals_activity", 10),
        ("notifications_notification WHERE read_at IS NULL", 20),
        ("notifications_notification WHERE read_at IS NOT NULL", 20),
    ] {
        let found = count(&db, table).await;
        assert!(found >= least, "{table}: {found}");
    }
    let stages = numbers(&db, "SELECT COUNT(*) FROM deals_deal GROUP BY stage_id").await;
    assert!(stages.len() == 6 && stages.iter().all(|deals| *deals > 0), "{stages:?}");
    check_times(&db).await;
    db.close().await.unwrap();

    let again = terminal.run(&["demo"]);
    let expected = "guildhall: the demo needs an empty installation, but there are several accounts\n";
    assert_eq!((code(&again), text(&again)), (1, expected.to_owned()));
    check_unread(&terminal).await;
}

/// The times are in order, over six weeks, and none is in the future.
async fn check_times(db: &Db) {
    let now = Timestamp::now();
    let day = Duration::from_hours(24);
    for table in
        ["community_post", "community_comment", "messaging_message", "deals_deal", "notifications_notification"]
    {
        let times = numbers(db, &format!("SELECT created_at FROM {table} ORDER BY id")).await;
        // What several people get at once is stored in any order.
        let out_of_order = times.windows(2).position(|pair| pair[0] > pair[1] + 1_000);
        assert_eq!(out_of_order.map(|at| (at, times[at], times[at + 1])), None, "{table}");
        let (first, last) = (times[0], times[times.len() - 1]);
        assert!(first > (now - day * 43).unix_micros() && first < (now - day * 25).unix_micros(), "{table}");
        assert!(last < now.unix_micros() && last > (now - day).unix_micros(), "{table}");
    }
    let upcoming = format!("SELECT COUNT(*) FROM community_event WHERE starts_at > {}", now.unix_micros());
    assert!(numbers(db, &upcoming).await[0] >= 3);
}

#[tokio::test]
async fn the_demo_includes_a_superuser_sends_nothing_and_leaves_nothing_to_do() {
    let terminal = Terminal::new().await;
    create_user(&terminal, "admin", &["--role", "superuser"]);
    let db = Db::connect(&terminal.database_url(), 2).await.unwrap();
    let subscription = "INSERT INTO notifications_subscription (user_id, endpoint, p256dh, auth, created_at) \
        SELECT id, 'https://push.example.org/1', $1, $2, created_at FROM users";
    let keys = || [vec![4_u8; 65].into(), vec![1_u8; 16].into()];
    db.write(|tx| async move { db::execute(&tx, subscription, keys()).await }).await.unwrap();
    create_demo(&terminal);
    for table in [
        "kernel_outbox",
        "kernel_event_delivery WHERE next_at IS NOT NULL",
        "community_link_preview",
        "messaging_link_preview",
        "notifications_queue WHERE next_at IS NOT NULL",
        "notifications_due",
        "accounts_session",
        "accounts_user_token",
    ] {
        assert_eq!(count(&db, table).await, 0, "{table}");
    }
    let of_admin = "(SELECT id FROM users WHERE username = 'admin')";
    assert_eq!(count(&db, &format!("community_membership WHERE user_id = {of_admin}")).await, 3);
    assert!(count(&db, &format!("notifications_notification WHERE recipient_id = {of_admin}")).await >= 2);
    let settings = format!("notifications_settings WHERE user_id = {of_admin} AND sends_emails");
    assert_eq!(count(&db, &settings).await, 1, "the choice is as before");
    db.close().await.unwrap();
    let doctor = terminal.run(&["doctor"]);
    assert_eq!(code(&doctor), 0, "{}", text(&doctor));
}

/// People sign in and have something unread.
async fn check_unread(terminal: &Terminal) {
    let server = terminal.serve();
    for name in SIGN_INS {
        let person = sign_in(&server, name).await;
        let notifications = get(&server, &person, "/api/notifications/?unread=true").await;
        assert!(!notifications["results"].as_array().unwrap().is_empty(), "{name}");
        let unread = get(&server, &person, "/messaging/api/unread-count/").await;
        assert!(unread["unread_count"].as_i64().unwrap() > 0, "{name}");
    }
    let tomasz = sign_in(&server, "tomasz").await;
    let deals = get(&server, &tomasz, "/api/crm/organizations/1/deals/?status=open").await;
    assert!(deals["count"].as_i64().unwrap() >= 5, "{deals}");
}

#[tokio::test]
async fn the_demo_refuses_an_installation_that_is_not_empty() {
    let terminal = Terminal::new().await;
    let refusal = |terminal: &Terminal, reason: &str| {
        let output = terminal.run(&["demo"]);
        let expected = format!("guildhall: the demo needs an empty installation, but {reason}\n");
        assert_eq!((code(&output), text(&output)), (1, expected));
    };
    create_user(&terminal, "anna", &[]);
    refusal(&terminal, "there is an account that is not a superuser");
    create_user(&terminal, "bo", &[]);
    refusal(&terminal, "there are several accounts");

    for (path, reason) in
        [("/api/community/groups/", "there are groups"), ("/api/crm/organizations/", "there are organizations")]
    {
        let terminal = Terminal::new().await;
        create_user(&terminal, "admin", &["--role", "superuser"]);
        let server = terminal.serve();
        let token = terminal.run(&["token", "create", "--user", "admin"]);
        let token = format!("Token {}", text(&token).trim());
        let request = client().post(format!("{}{path}", server.url)).header("authorization", token);
        let response = request.json(&json!({"name": "First", "is_private": true})).send().await.unwrap();
        assert_eq!(response.status(), 201);
        server.stop();
        refusal(&terminal, reason);
    }
}

#[tokio::test]
async fn the_demo_does_not_begin_beside_a_running_server() {
    let terminal = Terminal::new().await;
    if !terminal.database_url().starts_with("sqlite") {
        return;
    }
    let server = terminal.serve();
    let refused = terminal.run(&["demo"]);
    let expected = "guildhall: the database is in use; stop the server first\n";
    assert_eq!((code(&refused), text(&refused)), (1, expected.to_owned()));
    server.stop();
    create_demo(&terminal);
}

#[tokio::test]
async fn a_weak_password_leaves_the_installation_empty() {
    let terminal = Terminal::new().await;
    let weak = terminal.run_with(&["demo", "--password-stdin"], "your_password\n");
    let expected = "guildhall: cannot create the account maren: This password is too common.\n";
    assert_eq!((code(&weak), text(&weak)), (1, expected.to_owned()));
    assert_eq!(text(&terminal.run(&["user", "list"])), "");
}
