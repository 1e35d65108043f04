use guildhall_chat::{
    AuditRange, Audits, Changes, MessagePatch, Messages, Participants, Reactions, RoomId, verify_export,
};
use guildhall_kernel::{IfMatch, UserId, doctor::Finding};

use crate::harness::{Harness, chat, code, person, staff};

/// A room with events of all kinds; returns it and its last number.
async fn lively(harness: &Harness) -> (RoomId, i64) {
    let room = harness.room_of(1, &[2, 3]).await;
    let first = harness.say(2, room, "first").await;
    let second = harness.say(2, room, "second").await;
    for content in ["a", "b"] {
        let patch = MessagePatch { content: content.into() };
        harness.edit(&person(2), room, first.id, patch, IfMatch::default()).await.unwrap();
    }
    harness.react(&person(1), room, first.id, "👍".into()).await.unwrap();
    harness.delete(&person(2), room, second.id).await.unwrap();
    harness.remove(&person(1), room, UserId(3)).await.unwrap();
    (room, harness.card(1, room).await.last_seq)
}

/// The lines of an export, read part by part.
async fn exported(harness: &Harness, room: RoomId) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut after, mut end) = (0, None);
    loop {
        let part = harness.export(&person(1), room, after, end).await.unwrap();
        if end.is_none() {
            lines.push(serde_json::to_string(&part.header).unwrap());
        }
        end = Some(part.header.last_seq);
        let Some(last) = part.events.last() else { return lines };
        after = last.seq;
        lines.extend(part.events.iter().map(|event| serde_json::to_string(event).unwrap()));
    }
}

fn verify(lines: &[String]) -> Result<guildhall_chat::VerifiedExport, String> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    verify_export(text.as_bytes()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_export_is_verified_without_the_server() {
    let harness = chat().await;
    let (room, last) = lively(&harness).await;
    let verified = verify(&exported(&harness, room).await).unwrap();
    // Three messages of the server, the first message, and its two edits; the second message was deleted.
    assert_eq!((verified.room_id, verified.events, verified.contents, verified.deleted), (room, last, 6, 1));
    let audit = harness.audit(&person(2), room, AuditRange::default()).await.unwrap();
    assert_eq!((audit.last_hash, audit.last_seq), (verified.last_hash, last));
}

#[tokio::test]
async fn a_changed_export_is_found_out() {
    let harness = chat().await;
    let (room, _) = lively(&harness).await;
    let lines = exported(&harness, room).await;
    let mut changed = lines.clone();
    changed[3] = changed[3].replace("first", "worst");
    assert!(verify(&changed).unwrap_err().contains("content of event 3 was changed"));
    let mut shorter = lines.clone();
    shorter.pop();
    assert!(verify(&shorter).unwrap_err().contains("missing"));
    assert!(lines.iter().all(|line| !line.contains("second")), "a deleted content is gone");
    let mut stripped = lines.clone();
    stripped[3] = stripped[3].replace(r#""content":"first","#, "");
    assert_ne!(stripped[3], lines[3]);
    assert!(verify(&stripped).unwrap_err().contains("missing contents: 1, the first at event 3"));
}

#[tokio::test]
async fn a_change_of_the_database_is_found_out() {
    let harness = chat().await;
    let (room, last) = lively(&harness).await;
    assert!(harness.examine(false).await.unwrap().iter().all(|finding| !finding.is_error()));
    harness.db.sql("UPDATE chat_message SET content = 'forged' WHERE content = 'b'").await.unwrap();
    assert!(verify(&exported(&harness, room).await).unwrap_err().contains("was changed"));
    harness.db.sql(&format!("UPDATE chat_event SET hash = 'x' WHERE seq = {last}")).await.unwrap();
    assert!(harness.examine(true).await.unwrap().iter().any(Finding::is_error));
}

#[tokio::test]
async fn participants_check_the_hashes_and_only_the_host_exports() {
    let harness = chat().await;
    let (room, last) = lively(&harness).await;
    let range = |from, to| AuditRange { from: Some(from), to: Some(to) };
    let audit = harness.audit(&person(2), room, range(2, 3)).await.unwrap();
    assert_eq!(audit.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [2, 3]);
    assert!(audit.events[1].record.contains("content_hash") && !audit.events[1].record.contains("first"));
    assert!(harness.audit(&person(2), room, range(last + 1, last + 9)).await.unwrap().events.is_empty());
    for bad in [range(0, 3), range(3, 2)] {
        assert_eq!(code(harness.audit(&person(2), room, bad).await), "invalid");
    }
    assert_eq!(code(harness.audit(&person(3), room, range(1, 2)).await), "not_participant");
    assert_eq!(code(harness.audit(&staff(9), room, range(1, 2)).await), "ok");
    for user in [2, 3, 4] {
        assert_eq!(code(harness.export(&person(user), room, 0, None).await), "not_host");
    }
    assert_eq!(code(harness.export(&staff(9), room, 0, None).await), "ok");
}

#[tokio::test]
async fn a_long_room_is_exported_in_parts() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    for n in 0..450 {
        harness.say(1, room, &n.to_string()).await;
    }
    let part = harness.export(&person(1), room, 0, None).await.unwrap();
    assert_eq!(part.events.len(), 200);
    harness.say(1, room, "later").await;
    assert_eq!(harness.export(&person(1), room, 400, Some(450)).await.unwrap().events.len(), 50);
    assert_eq!(verify(&exported(&harness, room).await).unwrap().events, 451);
    let message = harness.messages_around(&person(1), room, 451, 2).await.unwrap();
    assert_eq!(message[0].content, "later");
}
