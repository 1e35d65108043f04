use crate::terminal::{Terminal, client, code, text};

const PASSWORD: &str = "correct horse é\n";

fn create<'a>(name: &'a str, email: &'a str) -> Vec<&'a str> {
    vec!["user", "create", "--username", name, "--email", email, "--password-stdin"]
}

#[tokio::test]
async fn every_command_has_help_and_misuse_exits_with_2() {
    let terminal = Terminal::new().await;
    for arguments in [&["--help"][..], &["serve", "--help"], &["user", "create", "--help"], &["token", "--help"]] {
        let output = terminal.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert!(text(&output).contains("Usage: guildhall"));
    }
    for arguments in
        [&[][..], &["dance"], &["user"], &["user", "create"], &["migrate", "fresh"], &["serve", "--port", "1"]]
    {
        assert_eq!(code(&terminal.run(arguments)), 2, "{arguments:?}");
    }
    assert!(text(&terminal.run(&["--version"])).starts_with("guildhall "));
}

#[tokio::test]
async fn migrations_are_applied_listed_and_reverted() {
    let terminal = Terminal::new().await;
    let status = terminal.run(&["migrate", "status"]);
    assert_eq!(code(&status), 1, "some are pending");
    assert!(text(&status).contains("pending m20250101_000000_accounts"), "{}", text(&status));
    for arguments in [&["migrate"][..], &["migrate", "up"], &["migrate", "status"]] {
        let output = terminal.run(arguments);
        assert_eq!(code(&output), 0, "{}", text(&output));
        assert!(text(&output).contains("applied m20250101_000100_community_groups"));
    }
    assert!(text(&terminal.run(&["migrate", "down"])).contains("pending m20250101_000700_notifications"));
    assert_eq!(
        code(&terminal.run_with(&create("anna", "anna@example.org"), PASSWORD)),
        0,
        "the command applies migrations"
    );
    assert_eq!(code(&terminal.run(&["migrate", "fresh", "--yes"])), 0);
    assert_eq!(text(&terminal.run(&["user", "list"])), "");
}

#[tokio::test]
async fn accounts_are_created_listed_and_changed() {
    let terminal = Terminal::new().await;
    let weak = terminal.run_with(&create("admin", "admin@example.org"), "your_password\n");
    assert_eq!(code(&weak), 1);
    let expected =
        "guildhall: password: This password is too common. (--allow-weak-password accepts a weak password)\n";
    assert_eq!(text(&weak), expected);
    let mut risky = create("admin", "admin@example.org");
    risky.extend(["--role", "superuser", "--role", "teacher", "--allow-weak-password"]);
    let created = terminal.run_with(&risky, "your_password\n");
    assert_eq!((code(&created), text(&created)), (0, "Created the account admin with the ID 1.\n".to_owned()));

    let again = terminal.run_with(&create("ADMIN", "other@example.org"), PASSWORD);
    assert_eq!((code(&again), text(&again)), (1, "guildhall: A user with that username already exists.\n".to_owned()));
    let bad = terminal.run_with(&create("a b", "nowhere"), PASSWORD);
    assert!(text(&bad).contains("email: Enter a valid email address.; username: Use letters"), "{}", text(&bad));

    assert_eq!(code(&terminal.run_with(&create("anna", "anna@example.org"), PASSWORD)), 0);
    assert_eq!(code(&terminal.run(&["user", "deactivate", "anna"])), 0);
    let list = text(&terminal.run(&["user", "list"]));
    let lines: Vec<_> = list.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    assert_eq!(lines, ["admin\tadmin@example.org\tactive\tteacher,superuser", "anna\tanna@example.org\tinactive\t"]);
    assert_eq!(code(&terminal.run(&["user", "activate", "anna@example.org"])), 0);
    assert_eq!(code(&terminal.run_with(&["user", "set-password", "anna", "--password-stdin"], "another horse é")), 0);
    let last = terminal.run(&["user", "deactivate", "admin"]);
    assert_eq!((code(&last), text(&last)), (1, "guildhall: This is the last superuser.\n".to_owned()));
    let nobody = terminal.run(&["user", "deactivate", "nobody"]);
    assert_eq!((code(&nobody), text(&nobody)), (1, "guildhall: User \"nobody\" does not exist.\n".to_owned()));
    let interactive = terminal.run(&["user", "set-password", "anna"]);
    assert!(code(&interactive) == 1 && text(&interactive).contains("--password-stdin"));
}

#[tokio::test]
async fn token_create_prints_only_the_token() {
    let terminal = Terminal::new().await;
    assert_eq!(code(&terminal.run_with(&create("anna", "anna@example.org"), PASSWORD)), 0);
    let output = terminal.run(&["token", "create", "--user", "anna", "--days", "7", "--name", "laptop"]);
    assert_eq!(code(&output), 0);
    assert!(text(&output).starts_with("ght_") && text(&output).lines().count() == 1);
    let output = terminal.run(&["token", "create", "--user", "anna", "--days", "400"]);
    assert_eq!(
        (code(&output), text(&output)),
        (1, "guildhall: expires_in_days: Must be between 1 and 365.\n".to_owned())
    );
}

#[tokio::test]
async fn config_check_masks_secrets() {
    let mut terminal = Terminal::new().await;
    terminal.set("GUILDHALL__DATABASE__URL", "postgres://guild:hunter2@db.example/guild");
    terminal.set("GUILDHALL__SERVER__BIND", "0.0.0.0:9000");
    let output = terminal.run(&["config", "check"]);
    let shown = text(&output);
    assert_eq!(code(&output), 0, "{shown}");
    assert!(shown.contains("server.bind = \"0.0.0.0:9000\"\n"));
    assert!(shown.contains("database.url = \"postgres://guild:…@db.example/guild\"\n"));
    assert!(!shown.contains("hunter2"));
    terminal.set("GUILDHALL__SERVER__BNID", "x");
    for arguments in [&["config", "check"][..], &["serve"], &["user", "list"]] {
        let output = terminal.run(arguments);
        let expected = "guildhall: unknown setting server.bnid; did you mean server.bind?\n";
        assert_eq!((code(&output), text(&output).as_str()), (1, expected));
    }
}

#[tokio::test]
async fn guildhall_env_selects_a_settings_file() {
    let mut terminal = Terminal::new().await;
    std::fs::create_dir(terminal.folder.path().join("config")).unwrap();
    let file = terminal.folder.path().join("config/staging.toml");
    std::fs::write(&file, "[server]\nbind = \"127.0.0.1:1234\"\n").unwrap();
    terminal.set("GUILDHALL_ENV", "staging");
    assert!(text(&terminal.run(&["config", "check"])).contains("server.bind = \"127.0.0.1:1234\""));
    std::fs::write(&file, "[server]\nbnd = 1\n").unwrap();
    assert!(text(&terminal.run(&["config", "check"])).contains("unknown setting server.bnd"));
    std::fs::write(&file, "[server\n").unwrap();
    assert_eq!(code(&terminal.run(&["config", "check"])), 1);
}

#[tokio::test]
async fn openapi_prints_the_document() {
    let terminal = Terminal::new().await;
    let output = terminal.run(&["openapi"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/auth/login/"]["post"].is_object());
}

#[tokio::test]
async fn an_unreachable_database_is_a_one_line_error() {
    let mut terminal = Terminal::new().await;
    terminal.set("GUILDHALL__DATABASE__URL", "postgres://guild:hunter2@127.0.0.1:1/guild");
    let output = terminal.run(&["user", "list"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output).starts_with("guildhall: ") && text(&output).lines().count() == 1, "{}", text(&output));
    assert!(!text(&output).contains("hunter2"));
}

#[tokio::test]
async fn cleanup_test_data_deletes_everything_or_nothing() {
    let terminal = Terminal::new().await;
    let clean = |more: &[&str]| terminal.run(&[&["cleanup-test-data"], more].concat());
    let nothing = clean(&[]);
    assert_eq!((code(&nothing), text(&nothing)), (0, "Nothing to clean up.\n".to_owned()));
    assert_eq!(code(&clean(&["--org-name", "nobody", "--force"])), 0);
    assert_eq!(code(&clean(&["--org-name", "x", "--org-id", "1"])), 2);
    assert_eq!(text(&clean(&["--json"])), "[]\n");

    let mut boss = create("boss", "boss@example.org");
    boss.extend(["--role", "superuser"]);
    for account in [boss, create("anna", "anna@example.org")] {
        assert_eq!(code(&terminal.run_with(&account, PASSWORD)), 0);
    }
    let token = |name| text(&terminal.run(&["token", "create", "--user", name])).trim().to_owned();
    let (boss, anna) = (token("boss"), token("anna"));
    let running = terminal.serve();
    let client = client();
    let post = async |who: &str, path: &str, body: serde_json::Value| {
        let request = client.post(format!("{}/api/crm/{path}", running.url));
        let response = request.header("authorization", format!("Token {who}")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 201, "{path}");
        response.json::<serde_json::Value>().await.unwrap()["id"].as_i64().unwrap()
    };
    // Ids are assigned by the database, with gaps.
    let mut orgs = Vec::new();
    for (who, name, is_test) in [(&boss, "Twin", true), (&anna, "twin", true), (&anna, "Kept", false)] {
        let org = post(who, "organizations/", serde_json::json!({"name": name, "is_test": is_test})).await;
        let customer = post(who, &format!("organizations/{org}/clients/"), serde_json::json!({"name": "x"})).await;
        let deals = format!("organizations/{org}/clients/{customer}/deals/");
        post(who, &deals, serde_json::json!({"title": "x"})).await;
        orgs.push(org);
    }
    let count = || text(&clean(&["--dry-run", "--json"])).matches("\"id\":").count();
    assert_eq!(count(), 2);
    let refused = clean(&[]);
    assert!(code(&refused) == 1 && text(&refused).contains("there are 2 deals"), "{}", text(&refused));
    let ambiguous = clean(&["--org-name", "TWIN", "--force"]);
    let which = format!("--org-id: {}, {}", orgs[0], orgs[1]);
    assert!(code(&ambiguous) == 1 && text(&ambiguous).contains(&which), "{}", text(&ambiguous));
    assert_eq!(count(), 2, "a refused cleanup changes nothing");
    // Accounts of staff, and of members of other organizations, are not deleted.
    let cleaned = clean(&["--force", "--with-users"]);
    assert!(code(&cleaned) == 0 && text(&cleaned).contains("1 deals_deal"), "{}", text(&cleaned));
    assert!(!text(&cleaned).contains("accounts"), "{}", text(&cleaned));
    assert_eq!(count(), 0);
    let last = clean(&["--org-id", &orgs[2].to_string(), "--force", "--with-users"]);
    assert!(code(&last) == 0 && text(&last).contains("1 accounts"), "{}", text(&last));
    let remaining = text(&terminal.run(&["user", "list"]));
    assert!(remaining.contains("boss") && !remaining.contains("anna"), "{remaining}");
    running.stop();
}
