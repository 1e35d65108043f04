use guildhall_kernel::UserId;
use guildhall_messaging::{MessageTypePatch, MessageTypes, Messages, NewMessage, NewMessageType, Target};

use crate::harness::{code, messaging, person, staff};

#[tokio::test]
async fn staff_manage_the_types() {
    let harness = messaging().await;
    let names = async |caller| -> Vec<String> {
        harness.message_types(&caller).await.unwrap().into_iter().map(|one| one.name).collect()
    };
    let seeded = ["text", "coffee_chat", "mentorship", "collaboration", "question", "other"];
    assert_eq!(names(person(1)).await, seeded);
    let new = |name: &str| NewMessageType { name: name.into() };
    assert_eq!(code(harness.create_message_type(&person(1), new("lunch")).await), "not_staff");
    for (name, expected) in [("Lunch", "invalid"), ("", "invalid"), ("text", "conflict")] {
        assert_eq!(code(harness.create_message_type(&staff(1), new(name)).await), expected, "{name}");
    }
    let lunch = harness.create_message_type(&staff(1), new("lunch")).await.unwrap();
    let send = async || {
        let new = NewMessage { message_type: Some("lunch".into()), ..NewMessage::text("x") };
        code(harness.send(&person(1), Target::User(UserId(2)), new).await)
    };
    assert_eq!(send().await, "ok");
    let off = MessageTypePatch { is_active: Some(false) };
    assert_eq!(code(harness.change_message_type(&person(1), lunch.id, off.clone()).await), "not_staff");
    harness.change_message_type(&staff(1), lunch.id, off).await.unwrap();
    assert_eq!(send().await, "invalid");
    assert_eq!((names(person(1)).await.len(), names(staff(1)).await.len()), (6, 7));
    // Messages keep their type.
    assert_eq!(harness.history(2, 1).await.messages[0].message_type, "lunch");
}
