use guildhall_community::{
    Answer, Attendance, AttendeeFilter, EventFilter, EventId, EventPatch, Events, Groups, Members, NewEvent, NewRsvp,
    Rsvp, Rsvps,
};
use guildhall_kernel::{Caller, IfMatch, UserId};
use tokio::task::JoinSet;

use crate::{
    events::{answer, capacity, change, for_members, going, in_hall, meeting, status, titles},
    fixtures::page,
    harness::{Harness, code, community, named, person, private, with_connections},
};

fn with_capacity(capacity: i64) -> NewEvent {
    NewEvent { capacity: Some(capacity), ..meeting("dinner") }
}

/// The users with this status, in the order in which they got it.
async fn users_with_status(harness: &Harness, event: EventId, status: Attendance) -> Vec<i64> {
    let filter = AttendeeFilter { status: Some(status) };
    let listed = harness.events.attendees(&person(1), event, filter, page()).await.unwrap();
    listed.results.into_iter().map(|attendee| attendee.user.unwrap().id.0).collect()
}

/// The counts of attendees and of the waiting list; asserts that they match the RSVPs.
async fn counts(harness: &Harness, id: EventId) -> (i64, i64) {
    let event = harness.events.event(Some(person(1)), id).await.unwrap();
    let going = users_with_status(harness, id, Attendance::Going).await.len();
    let waiting = users_with_status(harness, id, Attendance::Waiting).await.len();
    let actual = (i64::try_from(going).unwrap(), i64::try_from(waiting).unwrap());
    assert_eq!((event.going_count, event.waiting_count), actual);
    actual
}

#[tokio::test]
async fn everybody_can_attend_public_events_of_public_groups() {
    let harness = community().await;
    let hall = harness.groups.create_group(&person(1), named("hall")).await.unwrap();
    harness.add_member(hall.id, 3).await;
    let open = harness.events.create_event(&person(1), hall.id, meeting("open")).await.unwrap().id;
    let members = harness.events.create_event(&person(1), hall.id, for_members("members")).await.unwrap().id;
    let seen = async |caller: Caller| {
        let listed = harness.events.group_events(Some(caller), hall.id, EventFilter::default(), page()).await.unwrap();
        titles(listed.results)
    };
    assert_eq!(seen(person(3)).await, ["open", "members"]);
    assert_eq!(seen(person(4)).await, ["open"]);
    assert_eq!(code(harness.events.event(Some(person(4)), members).await), "event_not_found");
    assert_eq!(code(harness.events.answer_event(&person(4), members, going()).await), "event_not_found");
    assert_eq!(answer(&harness, open, 4, Answer::Going).await.status, Attendance::Going);
    answer(&harness, open, 3, Answer::Maybe).await;
    // They may attend, but not see the other attendees.
    let result = harness.events.attendees(&person(4), open, AttendeeFilter::default(), page()).await;
    assert_eq!(code(result), "not_member");
    let listed = harness.events.attendees(&person(3), open, AttendeeFilter::default(), page()).await.unwrap();
    let listed: Vec<_> =
        listed.results.iter().map(|attendee| (attendee.user.as_ref().unwrap().id, attendee.status)).collect();
    assert_eq!(listed, [(UserId(4), Attendance::Going), (UserId(3), Attendance::Maybe)]);

    // Once the event is not public any more, the RSVPs of people who are not members are deleted.
    let closed = EventPatch { is_public: Some(false), ..EventPatch::default() };
    assert_eq!(change(&harness, open, closed).await.going_count, 0);
    assert_eq!(harness.db.count_rows("community_rsvp").await, 1);
}

#[tokio::test]
async fn concurrent_rsvps_fill_the_spots_and_the_waiting_list_in_order() {
    let harness = with_connections(8).await;
    let event = in_hall(&harness, with_capacity(5)).await;
    let mut tasks = JoinSet::new();
    for user in 10..30 {
        let community = harness.community.clone();
        tasks.spawn(async move { (user, community.events.answer_event(&person(user), event, going()).await.unwrap()) });
    }
    let rsvps = tasks.join_all().await;
    let going = rsvps.iter().filter(|(_, rsvp)| rsvp.status == Attendance::Going).count();
    assert_eq!((going, counts(&harness, event).await), (5, (5, 15)));
    let mut queue: Vec<(i64, i64)> =
        rsvps.iter().filter_map(|(user, rsvp)| rsvp.position.map(|position| (position, *user))).collect();
    queue.sort_unstable();
    assert!(queue.iter().map(|(position, _)| *position).eq(1..=15), "{queue:?}");
    let waiting: Vec<i64> = queue.iter().map(|(_, user)| *user).collect();
    assert_eq!(users_with_status(&harness, event, Attendance::Waiting).await, waiting);

    // All attendees withdraw concurrently; the first on the waiting list get the spots.
    let mut tasks = JoinSet::new();
    for user in users_with_status(&harness, event, Attendance::Going).await {
        let community = harness.community.clone();
        tasks.spawn(async move { community.events.withdraw_answer(&person(user), event).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(counts(&harness, event).await, (5, 10));
    let mut promoted = users_with_status(&harness, event, Attendance::Going).await;
    promoted.sort_unstable();
    let mut expected = waiting[..5].to_vec();
    expected.sort_unstable();
    assert_eq!(promoted, expected);
    assert_eq!(users_with_status(&harness, event, Attendance::Waiting).await, waiting[5..]);
    harness.assert_counters().await;
}

#[tokio::test]
async fn free_spots_go_to_the_first_on_the_waiting_list() {
    let harness = community().await;
    let event = in_hall(&harness, with_capacity(2)).await;
    for user in 2..=6 {
        answer(&harness, event, user, Answer::Going).await;
    }
    assert_eq!(users_with_status(&harness, event, Attendance::Waiting).await, [4, 5, 6]);
    // Repeating an answer neither counts twice nor changes the position.
    for _ in 0..2 {
        let rsvp = answer(&harness, event, 5, Answer::Going).await;
        assert_eq!(rsvp, Rsvp { status: Attendance::Waiting, position: Some(2) });
        let rsvp = answer(&harness, event, 2, Answer::Going).await;
        assert_eq!(rsvp, Rsvp { status: Attendance::Going, position: None });
    }
    assert_eq!(counts(&harness, event).await, (2, 3));

    harness.events.withdraw_answer(&person(2), event).await.unwrap();
    harness.events.withdraw_answer(&person(2), event).await.unwrap();
    assert_eq!((status(&harness, event, 2).await, status(&harness, event, 4).await), (None, Some(Attendance::Going)));
    assert_eq!(counts(&harness, event).await, (2, 2));
    // Declining frees the spot as well; an attendee who comes back joins the end of the waiting list.
    answer(&harness, event, 3, Answer::Declined).await;
    assert_eq!(status(&harness, event, 5).await, Some(Attendance::Going));
    assert_eq!(answer(&harness, event, 3, Answer::Going).await.position, Some(2));
    answer(&harness, event, 6, Answer::Maybe).await;
    assert_eq!(users_with_status(&harness, event, Attendance::Waiting).await, [3]);
    assert_eq!(counts(&harness, event).await, (2, 1));
    harness.events.withdraw_answer(&person(3), event).await.unwrap();
    assert_eq!(counts(&harness, event).await, (2, 0));
    harness.events.withdraw_answer(&person(4), event).await.unwrap();
    assert_eq!(counts(&harness, event).await, (1, 0));
    assert_eq!(answer(&harness, event, 6, Answer::Going).await.status, Attendance::Going);
}

#[tokio::test]
async fn raising_the_capacity_fills_spots_and_it_cannot_drop_below_the_attendees() {
    let harness = community().await;
    let event = in_hall(&harness, with_capacity(1)).await;
    for user in 2..=8 {
        answer(&harness, event, user, Answer::Going).await;
    }
    assert_eq!(counts(&harness, event).await, (1, 6));
    let changed = change(&harness, event, capacity(Some(4))).await;
    assert_eq!((changed.capacity, changed.going_count, changed.waiting_count), (Some(4), 4, 3));
    assert_eq!(users_with_status(&harness, event, Attendance::Waiting).await, [6, 7, 8]);

    let fewer = harness.events.change_event(&person(1), event, capacity(Some(3)), IfMatch::default()).await;
    assert_eq!(code(fewer), "invalid");
    assert_eq!(counts(&harness, event).await, (4, 3));
    assert_eq!(change(&harness, event, EventPatch::default()).await.capacity, Some(4));
    assert_eq!(change(&harness, event, capacity(None)).await.capacity, None);
    assert_eq!(counts(&harness, event).await, (7, 0));
    assert_eq!(change(&harness, event, capacity(Some(7))).await.capacity, Some(7));
    assert_eq!(answer(&harness, event, 9, Answer::Going).await.position, Some(1));
}

#[tokio::test]
async fn a_cancelled_event_accepts_no_rsvps() {
    let harness = community().await;
    let event = in_hall(&harness, meeting("dinner")).await;
    answer(&harness, event, 2, Answer::Going).await;
    let cancelled = |is_cancelled| EventPatch { is_cancelled: Some(is_cancelled), ..EventPatch::default() };
    assert!(change(&harness, event, cancelled(true)).await.is_cancelled);
    assert_eq!(code(harness.events.answer_event(&person(3), event, going()).await), "event_cancelled");
    let decline = NewRsvp { status: Answer::Declined };
    assert_eq!(code(harness.events.answer_event(&person(2), event, decline).await), "event_cancelled");
    assert!(harness.events.event_calendar(Some(person(2)), event).await.unwrap().contains("STATUS:CANCELLED\r\n"));
    harness.events.withdraw_answer(&person(2), event).await.unwrap();
    assert_eq!(counts(&harness, event).await, (0, 0));
    assert!(!change(&harness, event, cancelled(false)).await.is_cancelled);
    answer(&harness, event, 3, Answer::Going).await;
}

#[tokio::test]
async fn leaving_a_private_group_frees_the_spot() {
    let harness = community().await;
    let den = harness.groups.create_group(&person(1), private("den")).await.unwrap();
    let event = harness.events.create_event(&person(1), den.id, with_capacity(1)).await.unwrap().id;
    for user in [3, 4] {
        harness.add_member(den.id, user).await;
        answer(&harness, event, user, Answer::Going).await;
    }
    assert_eq!(counts(&harness, event).await, (1, 1));
    harness.groups.leave(&person(3), den.id).await.unwrap();
    assert_eq!(users_with_status(&harness, event, Attendance::Going).await, [4]);
    assert_eq!(counts(&harness, event).await, (1, 0));
    harness.groups.remove_member(&person(1), den.id, UserId(4)).await.unwrap();
    assert_eq!(counts(&harness, event).await, (0, 0));
}
