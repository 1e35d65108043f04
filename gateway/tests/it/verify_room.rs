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
    let record = concat!(
        r#"{"content_hash":"ded9c2181fd7ea468a7a7b1475defe90bb0fc0ca8d0f2096b0617465cea6568c","message":7,"#,
        r#""room":3,"seq":1,"type":"message"}"#
    );
    let hash = "6396febd9d2ed66630fc2dc79166741673dfd29188e3f30d5bc5c14a811c5a92";
    let header = header.replace(r#""last_seq":0,"last_hash":"""#, &format!(r#""last_seq":1,"last_hash":"{hash}""#));
    let event = format!(r#"{{"seq":1,"hash":"{hash}","record":{record}}}"#);
    let stripped = terminal.run_with(&["verify-room", "-"], &format!("{header}\n{event}\n"));
    assert_eq!(code(&stripped), 1);
    assert!(text(&stripped).contains("missing contents: 1, the first at event 1"), "{}", text(&stripped));
    let whole = event.replace(r#","record""#, r#","content":"hi","salt":"s","record""#);
    let whole = terminal.run_with(&["verify-room", "-"], &format!("{header}\n{whole}\n"));
    assert_eq!(code(&whole), 0, "{}", text(&whole));
    let missing = terminal.run(&["verify-room", "no-such-file"]);
    assert!(code(&missing) == 1 && text(&missing).contains("cannot open no-such-file"), "{}", text(&missing));
    assert_eq!(code(&terminal.run(&["verify-room"])), 2);
}
