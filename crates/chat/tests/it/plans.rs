use guildhall_chat::{
    AuditRange, Audits, Changes, Messages, NewMessage, Participants, Pins, Reactions, Reading, Requests, RoomFilter,
    Rooms, Search,
};
use guildhall_kernel::{CursorQuery, PageQuery, UserId, testing::assert_plans};

use crate::harness::{chat, of, person};

#[tokio::test]
async fn no_query_reads_a_whole_table() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    let message = harness.say(2, room, "hello").await;
    harness.ask(4, room).await;
    let (caller, page) = (person(1), || PageQuery::new(1, 20));
    /// Runs a call and checks the plans of its queries. The call has to succeed.
    macro_rules! check_plans {
        ($what:expr, $run:expr) => {
            assert_plans(&harness.db, "chat_", $what, async { $run.await.unwrap() }).await
        };
    }
    check_plans!("list", harness.rooms(&caller, RoomFilter::default(), page()));
    check_plans!("own", harness.rooms(&caller, RoomFilter { joined: true, closed: false }, page()));
    check_plans!("closed", harness.rooms(&caller, RoomFilter { joined: false, closed: true }, page()));
    check_plans!("card", harness.room(&caller, room));
    check_plans!("participants", harness.participants(&caller, room, page()));
    check_plans!("requests", harness.requests(&caller, room, page()));
    check_plans!("approve", harness.approve(&caller, room, of(4)));
    check_plans!("join", harness.join(&person(5), room));
    check_plans!("history", harness.messages(&caller, room, CursorQuery::newest(5)));
    check_plans!("history", harness.messages(&caller, room, CursorQuery::before(3, 5)));
    check_plans!("around", harness.messages_around(&caller, room, 2, 5));
    check_plans!("message", harness.message(&caller, room, message.id));
    check_plans!("send", harness.send(&caller, room, NewMessage::text("x")));
    check_plans!("read", harness.mark_read(&person(2), room, Some(3)));
    check_plans!("react", harness.react(&caller, room, message.id, "👍".into()));
    check_plans!("pin", harness.pin(&caller, room, message.id));
    check_plans!("pins", harness.pins(&caller, room));
    check_plans!("revisions", harness.revisions(&caller, room, message.id));
    check_plans!("search", harness.search_messages(&caller, "hello".into(), None, CursorQuery::newest(5)));
    check_plans!("search", harness.search_messages(&caller, "hel".into(), Some(room), CursorQuery::newest(5)));
    check_plans!("audit", harness.audit(&caller, room, AuditRange::default()));
    check_plans!("export", harness.export(&caller, room, 0, None));
    check_plans!("remove", harness.remove(&caller, room, UserId(3)));
    check_plans!("sweep", harness.close_abandoned());
    check_plans!("confirm", harness.confirm_hosts());
    check_plans!("visible", harness.visible_rooms(caller.user, &[room]));
    check_plans!("delete", harness.delete(&caller, room, message.id));
    check_plans!("leave", harness.leave_room(1, room));
}

#[tokio::test]
async fn the_number_of_queries_does_not_depend_on_the_number_of_messages_or_people() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    harness.say(2, room, "x").await;
    let count = async || {
        let before = harness.db.statements();
        harness.history(1, room).await;
        harness.card(1, room).await;
        harness.participants(&person(1), room, PageQuery::new(1, 100)).await.unwrap();
        harness.send(&person(1), room, NewMessage::text("x")).await.unwrap();
        harness.db.statements() - before
    };
    let few = count().await;
    for user in 10..30 {
        harness.invite(&person(1), room, UserId(user)).await.unwrap();
        harness.say(user, room, "x").await;
    }
    assert_eq!(count().await, few);
}
