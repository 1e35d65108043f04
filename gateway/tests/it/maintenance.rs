//! Tests of the maintenance commands: doctor, keys, token prune, backup, restore.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use serde_json::{Value, json};

use crate::terminal::{Terminal, client, code, text};

const PASSWORD: &str = "correct horse é\n";

fn create(terminal: &Terminal, name: &str, role: &[&str]) {
    let email = format!("{name}@example.org");
    let command = ["user", "create", "--username", name, "--email", &email, "--password-stdin"];
    let created = terminal.run_with(&[&command[..], role].concat(), PASSWORD);
    assert_eq!(code(&created), 0, "{}", text(&created));
}

fn findings(terminal: &Terminal, arguments: &[&str]) -> (i32, Vec<Value>) {
    let output = terminal.run(&[&["doctor", "--json"], arguments].concat());
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (code(&output), findings.as_array().unwrap().clone())
}

fn finding_for<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("{check}: {findings:?}"))
}

async fn sign_in(url: &str, name: &str) -> Value {
    let body = json!({"username": name, "password": PASSWORD.trim()});
    let response = client().post(format!("{url}/api/auth/login/")).json(&body).send().await.unwrap();
    response.json().await.unwrap()
}

async fn me(url: &str, signed_in: &Value) -> u16 {
    let access = format!("Bearer {}", signed_in["access"].as_str().unwrap());
    let request = client().get(format!("{url}/api/auth/me/")).header("authorization", access);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn doctor_reports_repairs_and_changes_nothing_without_fix() {
    let terminal = Terminal::new().await;
    let (status, empty) = findings(&terminal, &[]);
    let on_postgres = empty.iter().any(|finding| finding["check"] == "migrations");
    let missing = if on_postgres { "migrations" } else { "database" };
    assert_eq!((status, &finding_for(&empty, missing)["severity"]), (1, &json!("error")));
    assert!(fs::read_dir(terminal.folder.path()).unwrap().next().is_none(), "doctor creates no files");
    assert_eq!(code(&terminal.run(&["migrate"])), 0);
    let (status, unused) = findings(&terminal, &[]);
    assert_eq!(
        (status, &finding_for(&unused, "signing_keys")["severity"]),
        (1, &json!("error")),
        "doctor creates no keys"
    );
    create(&terminal, "anna", &[]);
    let (status, unhealthy) = findings(&terminal, &[]);
    assert_eq!((status, &finding_for(&unhealthy, "superusers")["severity"]), (1, &json!("error")));
    create(&terminal, "admin", &["--role", "superuser"]);
    let (status, found) = findings(&terminal, &[]);
    assert_eq!(status, 0, "{found:?}");
    for check in ["superusers", "second_factor", "user_tokens", "mail", "public_url"] {
        assert_eq!(finding_for(&found, check)["severity"], "note", "{check}");
    }
    for check in
        ["migrations", "foreign_keys", "groups", "usernames", "signing_keys", "events", "outbox", "limits", "disk"]
    {
        assert_eq!(finding_for(&found, check)["severity"], "ok", "{check}");
    }
    let plain = terminal.run(&["doctor"]);
    assert_eq!(code(&plain), 0);
    assert!(text(&plain).contains("note   superusers       there is only one superuser"), "{}", text(&plain));

    let database = terminal.folder.path().join("data/guildhall.db");
    if !database.exists() {
        return; // PostgreSQL has no database file to check
    }
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    let (status, found) = findings(&terminal, &[]);
    assert_eq!((status, &finding_for(&found, "file_modes")["severity"]), (1, &json!("error")));
    let (status, found) = findings(&terminal, &["--fix"]);
    assert_eq!(
        (status, &finding_for(&found, "file_modes")["fixed"]),
        (0, &json!(true)),
        "a repaired finding is not an error"
    );
    assert_eq!(fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(findings(&terminal, &[]).0, 0);
}

#[tokio::test]
async fn doctor_reports_bad_settings() {
    let mut terminal = Terminal::new().await;
    terminal.set("GUILDHALL__LIMITS__ENABLED", "false");
    terminal.set("GUILDHALL__SERVER__TRUSTED_PROXIES", "0.0.0.0/0");
    terminal.set("GUILDHALL__MAIL__SMTP_URL", "smtp://127.0.0.1:9");
    create(&terminal, "admin", &["--role", "superuser"]);
    let (status, found) = findings(&terminal, &["--fix"]);
    assert_eq!(status, 1);
    for check in ["limits", "trusted_proxies", "mail"] {
        assert_eq!(finding_for(&found, check)["severity"], "error", "{check}");
    }
}

#[tokio::test]
async fn keys_rotate_under_a_running_server() {
    let terminal = Terminal::new().await;
    create(&terminal, "anna", &[]);
    let server = terminal.serve();
    let old = sign_in(&server.url, "anna").await;
    let rotated = terminal.run(&["keys", "rotate"]);
    assert_eq!(code(&rotated), 0, "{}", text(&rotated));
    assert_eq!(me(&server.url, &old).await, 200, "tokens signed with the old key stay valid");
    let new = sign_in(&server.url, "anna").await;
    assert_eq!(me(&server.url, &new).await, 200);
    let jwks: Value =
        client().get(format!("{}/.well-known/jwks.json", server.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    let rotated = terminal.run(&["keys", "rotate", "--compromised"]);
    assert!(text(&rotated).contains("everybody has to sign in again"));
    assert_eq!([me(&server.url, &old).await, me(&server.url, &new).await], [401, 401]);
    assert_eq!(me(&server.url, &sign_in(&server.url, "anna").await).await, 200);
}

#[tokio::test]
async fn token_prune_prints_what_it_deleted() {
    let mut terminal = Terminal::new().await;
    terminal.set("GUILDHALL__ACCOUNTS__REFRESH_TOKEN_SECONDS", "1");
    terminal.set("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "1");
    create(&terminal, "anna", &[]);
    let server = terminal.serve();
    sign_in(&server.url, "anna").await;
    let mut output = String::new();
    while !output.contains("1 refresh tokens\n1 sessions") {
        output = text(&terminal.run(&["token", "prune"]));
        assert!(output.contains("refresh tokens"), "{output}");
    }
    assert!(text(&terminal.run(&["token", "prune"])).starts_with("0 refresh tokens\n0 sessions"));
}

#[tokio::test]
async fn backup_works_while_the_server_runs_and_restore_when_it_is_stopped() {
    let terminal = Terminal::new().await;
    create(&terminal, "anna", &[]);
    let server = terminal.serve();
    let copy = terminal.folder.path().join("copy.db");
    let backup = terminal.run(&["backup", "copy.db"]);
    if !terminal.folder.path().join("data/guildhall.db").exists() {
        assert_eq!(code(&backup), 1);
        assert!(text(&backup).contains("pg_dump"), "{}", text(&backup));
        assert_eq!(code(&terminal.run(&["restore", "copy.db"])), 1);
        return;
    }
    assert_eq!(code(&backup), 0, "{}", text(&backup));
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600, "the copy contains secrets");
    let again = terminal.run(&["backup", "copy.db"]);
    assert!(code(&again) == 1 && text(&again).contains("--force"), "{}", text(&again));
    create(&terminal, "berta", &[]);
    let running = terminal.run(&["restore", "copy.db"]);
    assert!(code(&running) == 1 && text(&running).contains("in use"), "{}", text(&running));
    assert_eq!(server.stop().0, Some(0));

    fs::write(terminal.folder.path().join("nonsense.db"), "this is not a database").unwrap();
    for file in ["nonsense.db", "nowhere.db"] {
        assert_eq!(code(&terminal.run(&["restore", file])), 1, "{file}");
    }
    assert!(text(&terminal.run(&["user", "list"])).contains("berta"), "the database is unchanged so far");
    let restored = terminal.run(&["restore", "copy.db"]);
    assert_eq!(code(&restored), 0, "{}", text(&restored));
    let list = text(&terminal.run(&["user", "list"]));
    assert!(list.contains("anna") && !list.contains("berta"), "{list}");
    let previous: Vec<_> = fs::read_dir(terminal.folder.path().join("data")).unwrap().flatten().collect();
    let previous = previous.iter().find(|entry| entry.file_name().to_string_lossy().contains(".before-")).unwrap();
    fs::rename(previous.path(), terminal.folder.path().join("before.db")).unwrap();
    assert_eq!(code(&terminal.run(&["restore", "before.db"])), 0);
    assert!(text(&terminal.run(&["user", "list"])).contains("berta"), "the previous database was kept");
    assert_eq!(code(&terminal.run(&["backup", "copy.db", "--force"])), 0);
    assert_eq!(findings(&terminal, &[]).1.iter().filter(|finding| finding["check"] == "orphans").count(), 1);
}

/// The first frame of the user's own socket.
fn hello(url: &str, signed_in: &Value, position: &str) -> Value {
    let (address, token) = (url.strip_prefix("http://").unwrap(), signed_in["access"].as_str().unwrap());
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /ws/notifications/?token={token}{position} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the response has ended");
    }
    let mut header = [0; 2];
    reader.read_exact(&mut header).unwrap();
    let mut length = usize::from(header[1]);
    if length == 126 {
        reader.read_exact(&mut header).unwrap();
        length = usize::from(u16::from_be_bytes(header));
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn clients_do_not_continue_from_events_that_a_restore_has_lost() {
    let terminal = Terminal::new().await;
    create(&terminal, "anna", &[]);
    let server = terminal.serve();
    let anna = sign_in(&server.url, "anna").await;
    let epoch = hello(&server.url, &anna, "")["epoch"].as_i64().unwrap();
    let position = format!("&after=0&epoch={epoch}");
    assert_eq!(hello(&server.url, &anna, &position)["state"], "recovered");
    let is_embedded = terminal.folder.path().join("data/guildhall.db").exists();
    if is_embedded {
        assert_eq!(code(&terminal.run(&["backup", "copy.db"])), 0);
    }
    assert_eq!(server.stop().0, Some(0));
    // On PostgreSQL, the database is restored by its own tools.
    let restored = terminal.run(if is_embedded { &["restore", "copy.db"] } else { &["restore", "--finish"] });
    assert_eq!(code(&restored), 0, "{}", text(&restored));

    let server = terminal.serve();
    let anna = sign_in(&server.url, "anna").await;
    let refused = hello(&server.url, &anna, &position);
    assert_eq!(refused["state"], "gap");
    let position = format!("&after=0&epoch={}", refused["epoch"]);
    assert_eq!(hello(&server.url, &anna, &position)["state"], "recovered");
    assert_eq!(code(&terminal.run(&["restore"])), 2, "without a file");
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_marked_as_restored_before_it_is_migrated() {
    let terminal = Terminal::new().await;
    let empty = terminal.run(&["restore", "--finish"]);
    assert!(code(&empty) == 1 && text(&empty).contains("contains no Guildhall tables"), "{}", text(&empty));
    assert_eq!(code(&terminal.run(&["migrate"])), 0);
    let status = text(&terminal.run(&["migrate", "status"]));
    let since_epochs = status.lines().skip_while(|line| !line.ends_with("_realtime_epoch")).count();
    let reverted = terminal.run(&["migrate", "down", "--steps", &since_epochs.to_string()]);
    assert!(text(&reverted).contains("_realtime_epoch") && code(&reverted) == 0, "{}", text(&reverted));
    let finished = terminal.run(&["restore", "--finish"]);
    assert_eq!(code(&finished), 0, "{}", text(&finished));
    assert_eq!(code(&terminal.run(&["migrate"])), 0);
    assert_eq!(code(&terminal.run(&["restore", "--finish"])), 0);
}

#[tokio::test]
async fn doctor_does_not_create_the_secret_for_nats() {
    let mut terminal = Terminal::new().await;
    create(&terminal, "admin", &["--role", "superuser"]);
    terminal.set("GUILDHALL__NATS__URL", "nats://127.0.0.1:9");
    for _ in 0..2 {
        let (status, found) = findings(&terminal, &[]);
        assert_eq!((status, &finding_for(&found, "bus")["severity"]), (0, &json!("note")), "{found:?}");
        assert!(found.iter().all(|finding| finding["check"] != "signing_keys"), "{found:?}");
    }
    create(&terminal, "anna", &[]);
    let (status, found) = findings(&terminal, &[]);
    let bus = finding_for(&found, "bus");
    assert_eq!((status, &bus["severity"]), (1, &json!("error")));
    assert!(bus["message"].as_str().unwrap().contains("nats.url"), "{bus}");
}

/// Waits until the user has a notification.
async fn await_notification(url: &str, access: &str) {
    for _ in 0..500 {
        let request =
            client().get(format!("{url}/api/notifications/")).header("authorization", format!("Bearer {access}"));
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        if list["results"].as_array().is_some_and(|results| !results.is_empty()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there is no notification");
}

#[tokio::test]
async fn messages_are_encrypted_later_and_a_missing_key_is_reported() {
    let key = |id: &str, first: &str| format!("{id}:{first}ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let mut terminal = Terminal::new().await;
    create(&terminal, "anna", &[]);
    create(&terminal, "admin", &["--role", "superuser"]);
    let server = terminal.serve();
    let (anna, admin) = (sign_in(&server.url, "anna").await, sign_in(&server.url, "admin").await);
    let body = json!({"receiver_id": admin["user"]["id"], "content": "a secret"});
    let request = client().post(format!("{}/messaging/api/send/", server.url)).json(&body);
    let access = format!("Bearer {}", anna["access"].as_str().unwrap());
    assert_eq!(request.header("authorization", access).send().await.unwrap().status(), 201);
    await_notification(&server.url, admin["access"].as_str().unwrap()).await;
    assert_eq!(server.stop().0, Some(0));

    terminal.set("GUILDHALL__ENCRYPTION__ENABLED", "true").set("GUILDHALL__ENCRYPTION__KEYS", &key("one", "AA"));
    assert_eq!(finding_for(&findings(&terminal, &[]).1, "messaging.keys")["severity"], "note");
    let encrypted = terminal.run(&["keys", "reencrypt"]);
    // The message, its events on the streams of the conversation and of both people, and that of the notification.
    assert_eq!(text(&encrypted), "Encrypted 5 rows with the key one.\n");
    let (status, found) = findings(&terminal, &[]);
    assert_eq!((status, &finding_for(&found, "messaging.keys")["severity"]), (0, &json!("ok")));

    terminal.set("GUILDHALL__ENCRYPTION__KEYS", &key("two", "BB"));
    let (status, found) = findings(&terminal, &[]);
    assert_eq!((status, &finding_for(&found, "realtime.keys")["severity"]), (1, &json!("error")));
    let failed = terminal.run(&["keys", "reencrypt"]);
    assert!(code(&failed) == 1 && text(&failed).contains("5 rows cannot be read"), "{}", text(&failed));
    let (_, log) = terminal.serve().stop();
    assert!(log.contains("their key is not among encryption.keys") && log.contains("one"), "{log}");

    let both = format!("{},{}", key("two", "BB"), key("one", "AA"));
    terminal.set("GUILDHALL__ENCRYPTION__KEYS", &both);
    assert_eq!(text(&terminal.run(&["keys", "reencrypt"])), "Encrypted 5 rows with the key two.\n");
    terminal.set("GUILDHALL__ENCRYPTION__ENABLED", "false");
    assert_eq!(text(&terminal.run(&["keys", "reencrypt"])), "Decrypted 5 rows.\n");
}
