use crate::terminal::{Terminal, code, text};

#[tokio::test]
async fn an_exported_room_is_verified_without_a_database() {
    let terminal = Terminal::new().await;
    let header = concat!(
        r#"{"format":"guildhall-room-1","room_id":3,"name":"den","last_seq":0,"last_hash":"","#,
        r#""exported_at":"2025-01-04T10:30:00.000000Z"}"#
    );
    let valid = terminal.run_with(&["verify-room", "-"], &format!("{header}\n"));
    assert_eq!(code(&valid), 0, "{}", text(&valid));
    assert!(text(&valid).starts_with("Room 3: 0 events, complete and unchanged.\n"), "{}", text(&valid));
    let shorter = header.replace(r#""last_seq":0"#, r#""last_seq":2"#);
    let invalid = terminal.run_with(&["verify-room", "-"], &format!("{shorter}\n"));
    assert_eq!(code(&invalid), 1);
    assert!(text(&invalid).contains("event 1 is missing or not in its place"), "{}", text(&invalid));
    let missing = terminal.run(&["verify-room", "no-such-file"]);
    assert!(code(&missing) == 1 && text(&missing).contains("cannot open no-such-file"), "{}", text(&missing));
    assert_eq!(code(&terminal.run(&["verify-room"])), 2);
}
