use serde_json::{Value, json};

use crate::terminal::{Terminal, client, code, text};

const PASSWORD: &str = "correct horse é";

async fn post(url: &str, authorization: &str, body: Value) -> (u16, Value) {
    let response = client().post(url).header("authorization", authorization).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn fault_t13_the_first_start_logs_one_line_about_migrations() {
    let server = Terminal::new().await.serve();
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    let matching: Vec<&str> = log.lines().filter(|line| line.contains("migrat")).collect();
    assert_eq!(matching.len(), 1, "{log}");
    assert!(log.lines().count() < 15, "{log}");
}

#[tokio::test]
async fn the_first_start_prints_how_to_create_a_superuser() {
    let terminal = Terminal::new().await;
    let server = terminal.serve();
    assert!(server.first.starts_with("Guildhall listens on http://127.0.0.1:"), "{}", server.first);
    let output = server.output().join("\n");
    assert!(output.contains("/api/docs") && output.contains("user create --username admin"), "{output}");

    let create = ["user", "create", "--username", "admin", "--email", "admin@example.org", "--role", "superuser"];
    let create = [&create[..], &["--password-stdin"]].concat();
    let created = terminal.run_with(&create, PASSWORD);
    assert_eq!(code(&created), 0, "{}", text(&created));
    let body = json!({"username": "admin", "password": PASSWORD});
    let (status, signed_in) = post(&format!("{}/api/auth/login/", server.url), "", body).await;
    assert_eq!((status, &signed_in["user"]["roles"]), (200, &json!(["superuser"])));

    let token = text(&terminal.run(&["token", "create", "--user", "admin"]));
    let groups = format!("{}/api/community/groups/", server.url);
    let (status, group) = post(&groups, &format!("Token {}", token.trim()), json!({"name": "Readers"})).await;
    assert_eq!((status, &group["creator"]["username"]), (201, &json!("admin")));
    assert_eq!(server.stop().0, Some(0));

    // The data survives a restart, and the hint about the superuser is gone.
    let server = terminal.serve();
    assert!(!server.output().join("\n").contains("user create"));
    let access = format!("Bearer {}", signed_in["access"].as_str().unwrap());
    let list = client().get(format!("{}/api/community/groups/", server.url)).header("authorization", access);
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["results"][0]["name"], "Readers");
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let mut terminal = Terminal::new().await;
    terminal.set("GUILDHALL__LOG__FILTER", "debug");
    let server = terminal.serve();
    let url = |path: &str| format!("{}{path}", server.url);
    let body = json!({"username": "anna", "email": "anna.secret@example.org", "password": PASSWORD});
    assert_eq!(post(&url("/api/auth/register/"), "", body.clone()).await.0, 201);
    let (_, signed_in) = post(&url("/api/auth/login/?token=in-the-query"), "", body.clone()).await;
    let (_, pair) = post(&url("/api/auth/refresh/"), "", json!({"refresh": signed_in["refresh"]})).await;
    let (_, token) = post(&url("/api/auth/token/"), "", body.clone()).await;
    let token = token["token"].as_str().unwrap();
    let wrong = json!({"username": "anna", "password": "wrong-password-typed"});
    assert_eq!(post(&url("/api/auth/login/"), "", wrong).await.0, 401);
    assert_eq!(post(&url("/api/community/groups/"), &format!("Token {token}"), json!({"name": "x"})).await.0, 201);
    let fresh = pair["access"].as_str().unwrap();
    assert_eq!(post(&url("/api/auth/logout-all/"), &format!("Bearer {fresh}"), json!({})).await.0, 204);
    assert_eq!(post(&url("/nowhere/secret-in-a-path/"), "", json!({})).await.0, 404);

    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("/api/auth/login/") && log.contains("\"user.id\":1"), "{log}");
    let secrets = [
        PASSWORD,
        "wrong-password-typed",
        "anna.secret",
        "argon2id$",
        "in-the-query",
        "secret-in-a-path",
        &token[12..],
        signed_in["access"].as_str().unwrap(),
        signed_in["refresh"].as_str().unwrap(),
        fresh,
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "not one object a line: {line}");
    }
}

#[tokio::test]
async fn a_killed_server_has_stored_what_it_responded_to() {
    let terminal = Terminal::new().await;
    let server = terminal.serve();
    for n in 0..5 {
        let body =
            json!({"username": format!("person{n}"), "email": format!("p{n}@example.org"), "password": PASSWORD});
        assert_eq!(post(&format!("{}/api/auth/register/", server.url), "", body).await.0, 201);
    }
    // No chance to shut down gracefully.
    server.signal("-KILL");
    drop(server);
    assert_eq!(text(&terminal.run(&["user", "list"])).lines().count(), 5);
}

#[tokio::test]
async fn a_second_signal_aborts_the_shutdown() {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };

    let terminal = Terminal::new().await;
    let server = terminal.serve();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let mut endless = TcpStream::connect(&address).unwrap();
    let head = "POST /api/auth/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Expect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    endless.write_all(head.as_bytes()).unwrap();
    endless.read_exact(&mut [0; 25]).unwrap();
    server.signal("-TERM");
    while TcpStream::connect(&address).is_ok() {
        std::thread::yield_now();
    }
    // The first signal waits for the request, up to twenty seconds; the second does not.
    let (code, log) = server.stop();
    assert_eq!(code, Some(1));
    assert!(log.contains("by a second signal"), "{log}");
}

#[tokio::test]
async fn a_server_that_cannot_start_prints_the_reason() {
    let terminal = Terminal::new().await;
    let server = terminal.serve();
    let address = server.url.strip_prefix("http://").unwrap();
    let second = terminal.run(&["serve", "--bind", address]);
    assert_eq!(code(&second), 1);
    assert!(text(&second).contains(&format!("guildhall: cannot listen on {address}: ")), "{}", text(&second));

    let empty = Terminal::new().await;
    let unmigrated = empty.run(&["serve", "--bind", "127.0.0.1:0", "--no-migrate"]);
    assert_eq!(code(&unmigrated), 1);
    assert!(text(&unmigrated).contains("guildhall migrate"), "{}", text(&unmigrated));
}
