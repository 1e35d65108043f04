//! The commands with which an installation is kept in order.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use crate::terminal::{Terminal, client, code, text};

const PASSWORD: &str = "correct horse é\n";

fn create(terminal: &Terminal, name: &str, role: &[&str]) {
    let email = format!("{name}@example.org");
    let command = ["user", "create", "--username", name, "--email", &email, "--password-stdin"];
    let made = terminal.run_with(&[&command[..], role].concat(), PASSWORD);
    assert_eq!(code(&made), 0, "{}", text(&made));
}

fn findings(terminal: &Terminal, arguments: &[&str]) -> (i32, Vec<Value>) {
    let output = terminal.run(&[&["doctor", "--json"], arguments].concat());
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (code(&output), findings.as_array().unwrap().clone())
}

fn of<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("{check}: {findings:?}"))
}

async fn sign_in(url: &str, name: &str) -> Value {
    let body = json!({"username": name, "password": PASSWORD.trim()});
    let answer = client().post(format!("{url}/api/auth/login/")).json(&body).send().await.unwrap();
    answer.json().await.unwrap()
}

async fn me(url: &str, signed_in: &Value) -> u16 {
    let access = format!("Bearer {}", signed_in["access"].as_str().unwrap());
    let answer = client().get(format!("{url}/api/auth/me/")).header("authorization", access);
    answer.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_doctor_finds_mends_and_leaves_alone() {
    let terminal = Terminal::new().await;
    let (status, empty) = findings(&terminal, &[]);
    let on_postgres = empty.iter().any(|finding| finding["check"] == "migrations");
    let missing = if on_postgres { "migrations" } else { "database" };
    assert_eq!((status, &of(&empty, missing)["severity"]), (1, &json!("fault")));
    assert!(fs::read_dir(terminal.folder.path()).unwrap().next().is_none(), "a look makes nothing");
    assert_eq!(code(&terminal.run(&["migrate"])), 0);
    let (status, unused) = findings(&terminal, &[]);
    assert_eq!((status, &of(&unused, "signing_keys")["severity"]), (1, &json!("fault")), "nor keys");
    create(&terminal, "anna", &[]);
    let (status, ill) = findings(&terminal, &[]);
    assert_eq!((status, &of(&ill, "superusers")["severity"]), (1, &json!("fault")));
    create(&terminal, "admin", &["--role", "superuser"]);
    let (status, found) = findings(&terminal, &[]);
    assert_eq!(status, 0, "{found:?}");
    for check in ["superusers", "second_factor", "user_tokens", "mail", "public_url"] {
        assert_eq!(of(&found, check)["severity"], "note", "{check}");
    }
    for check in ["migrations", "foreign_keys", "groups", "usernames", "signing_keys", "outbox", "limits", "disk"] {
        assert_eq!(of(&found, check)["severity"], "ok", "{check}");
    }
    let plain = terminal.run(&["doctor"]);
    assert_eq!(code(&plain), 0);
    assert!(text(&plain).contains("note   superusers       there is only one superuser"), "{}", text(&plain));

    let database = terminal.folder.path().join("data/guildhall.db");
    if !database.exists() {
        return; // on PostgreSQL there is no file to be read by others
    }
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    let (status, found) = findings(&terminal, &[]);
    assert_eq!((status, &of(&found, "file_modes")["severity"]), (1, &json!("fault")));
    let (status, found) = findings(&terminal, &["--fix"]);
    assert_eq!((status, &of(&found, "file_modes")["fixed"]), (0, &json!(true)), "what was mended is no fault");
    assert_eq!(fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(findings(&terminal, &[]).0, 0);
}

#[tokio::test]
async fn a_doctor_tells_what_the_settings_get_wrong() {
    let mut terminal = Terminal::new().await;
    terminal.set("GUILDHALL__LIMITS__ENABLED", "false");
    terminal.set("GUILDHALL__SERVER__TRUSTED_PROXIES", "0.0.0.0/0");
    terminal.set("GUILDHALL__MAIL__SMTP_URL", "smtp://127.0.0.1:9");
    create(&terminal, "admin", &["--role", "superuser"]);
    let (status, found) = findings(&terminal, &["--fix"]);
    assert_eq!(status, 1);
    for check in ["limits", "trusted_proxies", "mail"] {
        assert_eq!(of(&found, check)["severity"], "fault", "{check}");
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
    assert_eq!(me(&server.url, &old).await, 200, "what the old key has signed stays good");
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
async fn pruning_tells_what_went() {
    let mut terminal = Terminal::new().await;
    terminal.set("GUILDHALL__ACCOUNTS__REFRESH_TOKEN_SECONDS", "1");
    terminal.set("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "1");
    create(&terminal, "anna", &[]);
    let server = terminal.serve();
    sign_in(&server.url, "anna").await;
    let mut told = String::new();
    while !told.contains("1 refresh tokens\n1 sessions") {
        told = text(&terminal.run(&["token", "prune"]));
        assert!(told.contains("refresh tokens"), "{told}");
    }
    assert!(text(&terminal.run(&["token", "prune"])).starts_with("0 refresh tokens\n0 sessions"));
}

#[tokio::test]
async fn a_copy_made_while_the_server_runs_takes_its_place_when_it_does_not() {
    let terminal = Terminal::new().await;
    create(&terminal, "anna", &[]);
    let server = terminal.serve();
    let copy = terminal.folder.path().join("copy.db");
    let made = terminal.run(&["backup", "copy.db"]);
    if !terminal.folder.path().join("data/guildhall.db").exists() {
        assert_eq!(code(&made), 1);
        assert!(text(&made).contains("pg_dump"), "{}", text(&made));
        assert_eq!(code(&terminal.run(&["restore", "copy.db"])), 1);
        return;
    }
    assert_eq!(code(&made), 0, "{}", text(&made));
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600, "it holds secrets");
    let again = terminal.run(&["backup", "copy.db"]);
    assert!(code(&again) == 1 && text(&again).contains("--force"), "{}", text(&again));
    create(&terminal, "berta", &[]);
    let running = terminal.run(&["restore", "copy.db"]);
    assert!(code(&running) == 1 && text(&running).contains("in use"), "{}", text(&running));
    assert_eq!(server.stop().0, Some(0));

    fs::write(terminal.folder.path().join("nonsense.db"), "this is no database, whatever it is called").unwrap();
    for file in ["nonsense.db", "nowhere.db"] {
        assert_eq!(code(&terminal.run(&["restore", file])), 1, "{file}");
    }
    assert!(text(&terminal.run(&["user", "list"])).contains("berta"), "nothing has happened so far");
    let restored = terminal.run(&["restore", "copy.db"]);
    assert_eq!(code(&restored), 0, "{}", text(&restored));
    let list = text(&terminal.run(&["user", "list"]));
    assert!(list.contains("anna") && !list.contains("berta"), "{list}");
    let kept: Vec<_> = fs::read_dir(terminal.folder.path().join("data")).unwrap().flatten().collect();
    let kept = kept.iter().find(|entry| entry.file_name().to_string_lossy().contains(".before-")).unwrap();
    fs::rename(kept.path(), terminal.folder.path().join("before.db")).unwrap();
    assert_eq!(code(&terminal.run(&["restore", "before.db"])), 0);
    assert!(text(&terminal.run(&["user", "list"])).contains("berta"), "what was there had been kept");
    assert_eq!(code(&terminal.run(&["backup", "copy.db", "--force"])), 0);
    assert_eq!(findings(&terminal, &[]).1.iter().filter(|finding| finding["check"] == "orphans").count(), 1);
}
