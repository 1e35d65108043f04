use std::time::Duration;

use guildhall_community::{
    Answer, Attendance, AttendeeFilter, Event, EventFilter, EventId, EventPatch, Events, GroupId, Groups, Members,
    NewEvent, NewRsvp, Rsvp, Rsvps, SqlCommunity, When,
};
use guildhall_kernel::{Caller, IfMatch, PageQuery, Timestamp, UserId};
use tokio::task::JoinSet;

use crate::harness::{self, Harness, code, community, listed, named, person, private, staff, with_connections};

fn hours(count: u64) -> Duration {
    Duration::from_secs(3_600 * count)
}

/// A public event tomorrow that lasts an hour.
fn meeting(title: &str) -> NewEvent {
    let starts_at = Timestamp::now() + hours(24);
    NewEvent {
        title: title.to_owned(),
        description: String::new(),
        location: String::new(),
        url: String::new(),
        starts_at,
        ends_at: starts_at + hours(1),
        capacity: None,
        is_public: true,
    }
}

fn for_members(title: &str) -> NewEvent {
    NewEvent { is_public: false, ..meeting(title) }
}

fn with_capacity(capacity: i64) -> NewEvent {
    NewEvent { capacity: Some(capacity), ..meeting("dinner") }
}

fn capacity(capacity: Option<i64>) -> EventPatch {
    EventPatch { capacity: Some(capacity), ..EventPatch::default() }
}

fn going() -> NewRsvp {
    NewRsvp { status: Answer::Going }
}

fn page() -> PageQuery {
    PageQuery::new(1, 100)
}

fn titles(events: Vec<Event>) -> Vec<String> {
    events.into_iter().map(|event| event.title).collect()
}

/// Creates an event in a public group of user 1.
async fn in_hall(harness: &Harness, new: NewEvent) -> EventId {
    let hall = harness.create_group(&person(1), named("hall")).await.unwrap();
    harness.create_event(&person(1), hall.id, new).await.unwrap().id
}

async fn answer(harness: &Harness, event: EventId, user: i64, status: Answer) -> Rsvp {
    harness.answer_event(&person(user), event, NewRsvp { status }).await.unwrap()
}

/// The status of a user's RSVP.
async fn status(harness: &Harness, event: EventId, user: i64) -> Option<Attendance> {
    harness.event(Some(person(user)), event).await.unwrap().my_status
}

/// The users with this status, in the order in which they got it.
async fn users_with_status(harness: &Harness, event: EventId, status: Attendance) -> Vec<i64> {
    let filter = AttendeeFilter { status: Some(status) };
    let listed = harness.attendees(&person(1), event, filter, page()).await.unwrap();
    listed.results.into_iter().map(|attendee| attendee.user.unwrap().id.0).collect()
}

/// The counts of attendees and of the waiting list; asserts that they match the RSVPs.
async fn counts(harness: &Harness, id: EventId) -> (i64, i64) {
    let event = harness.event(Some(person(1)), id).await.unwrap();
    let going = users_with_status(harness, id, Attendance::Going).await.len();
    let waiting = users_with_status(harness, id, Attendance::Waiting).await.len();
    let actual = (i64::try_from(going).unwrap(), i64::try_from(waiting).unwrap());
    assert_eq!((event.going_count, event.waiting_count), actual);
    actual
}

async fn change(harness: &Harness, event: EventId, patch: EventPatch) -> Event {
    harness.change_event(&person(1), event, patch, IfMatch::default()).await.unwrap()
}

#[tokio::test]
async fn moderators_manage_events() {
    let harness = community().await;
    let hall = harness.create_group(&person(1), named("hall")).await.unwrap();
    harness.add_member(hall.id, 3).await;
    let new = NewEvent {
        description: "**bring** bread".into(),
        location: " the hall ".into(),
        url: "https://example.org/dinner".into(),
        ..meeting("  Dinner ")
    };
    let event = harness.create_event(&person(1), hall.id, new).await.unwrap();
    assert_eq!((event.title.as_str(), event.location.as_str(), event.group), ("Dinner", "the hall", hall.id));
    assert_eq!((event.going_count, event.waiting_count, event.my_status), (0, 0, None));
    assert!(event.description_html.contains("<strong>bring</strong>"));
    assert_eq!(event.creator.as_ref().unwrap().username, "person-1");
    assert_eq!(harness.event(Some(person(1)), event.id).await.unwrap(), event);
    harness.create_event(&staff(9), hall.id, meeting("by staff")).await.unwrap();

    let (known, patch) = (IfMatch::default, EventPatch::default);
    assert_eq!(code(harness.create_event(&person(3), hall.id, meeting("x")).await), "not_moderator");
    assert_eq!(code(harness.create_event(&person(4), hall.id, meeting("x")).await), "not_member");
    assert_eq!(code(harness.change_event(&person(3), event.id, patch(), known()).await), "not_moderator");
    assert_eq!(code(harness.change_event(&person(4), event.id, patch(), known()).await), "not_member");
    assert_eq!(code(harness.delete_event(&person(3), event.id, known()).await), "not_moderator");
    let stale = || IfMatch::only(Timestamp::EPOCH.into());
    assert_eq!(code(harness.change_event(&person(1), event.id, patch(), stale()).await), "stale");
    assert_eq!(code(harness.delete_event(&person(1), event.id, stale()).await), "stale");

    let supper = EventPatch { title: Some("Supper".into()), location: Some(String::new()), ..patch() };
    let current = IfMatch::only(event.updated_at.into());
    let changed = harness.change_event(&person(1), event.id, supper, current).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.location.as_str()), ("Supper", ""));
    assert_eq!((&changed.url, changed.starts_at), (&event.url, event.starts_at));
    assert!(changed.updated_at > event.updated_at);
    answer(&harness, event.id, 3, Answer::Going).await;
    harness.delete_event(&person(1), event.id, known()).await.unwrap();
    assert_eq!((harness.count_rows("community_event").await, harness.count_rows("community_rsvp").await), (1, 0));
    assert_eq!(code(harness.event(Some(person(1)), event.id).await), "event_not_found");
}

#[tokio::test]
async fn invalid_input_stores_nothing() {
    let harness = community().await;
    let hall = harness.create_group(&person(1), named("hall")).await.unwrap();
    let valid = meeting("x");
    let (start, end) = (valid.starts_at, valid.ends_at);
    for new in [
        meeting(""),
        meeting("a\nb"),
        meeting(&"x".repeat(201)),
        NewEvent { description: "x".repeat(10_001), ..meeting("x") },
        NewEvent { location: "x".repeat(501), ..meeting("x") },
        NewEvent { url: "javascript:alert(1)".into(), ..meeting("x") },
        NewEvent { url: "ftp://example.org/".into(), ..meeting("x") },
        NewEvent { url: format!("https://example.org/{}", "x".repeat(2_000)), ..meeting("x") },
        NewEvent { starts_at: end, ends_at: start, ..meeting("x") },
        NewEvent { ends_at: valid.starts_at + hours(24 * 367), ..valid },
        NewEvent { capacity: Some(0), ..meeting("x") },
        NewEvent { capacity: Some(1_000_001), ..meeting("x") },
    ] {
        assert_eq!(code(harness.create_event(&person(1), hall.id, new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.count_rows("community_event").await, 0);

    let event = harness.create_event(&person(1), hall.id, meeting("x")).await.unwrap();
    let none = EventPatch::default;
    for patch in [
        EventPatch { title: Some(" ".into()), ..none() },
        EventPatch { url: Some("//example.org".into()), ..none() },
        EventPatch { ends_at: Some(Timestamp::now()), ..none() },
        EventPatch { starts_at: Some(event.ends_at + hours(1)), ..none() },
        capacity(Some(-1)),
    ] {
        let result = harness.change_event(&person(1), event.id, patch.clone(), IfMatch::default()).await;
        assert_eq!(code(result), "invalid", "{patch:?}");
    }
    assert_eq!(harness.event(Some(person(1)), event.id).await.unwrap(), event);
}

#[tokio::test]
async fn events_are_listed_by_time() {
    let harness = community().await;
    let hall = harness.create_group(&person(1), named("hall")).await.unwrap();
    let now = Timestamp::now();
    for (title, starts_at, ends_at) in [
        ("later", now + hours(48), now + hours(49)),
        ("over", now - hours(2), now - hours(1)),
        ("now", now - hours(1), now + hours(1)),
        ("long over", now - hours(24 * 400), now - hours(24 * 399)),
        ("for a year", now - hours(24 * 365), now + hours(12)),
        ("soon", now + hours(1), now + hours(1)),
    ] {
        let new = NewEvent { starts_at, ends_at, ..meeting(title) };
        harness.create_event(&person(1), hall.id, new).await.unwrap();
    }
    let list = async |when| {
        let listed = harness.group_events(Some(person(1)), hall.id, EventFilter { when }, page()).await.unwrap();
        titles(listed.results)
    };
    assert_eq!(list(When::Upcoming).await, ["for a year", "now", "soon", "later"]);
    assert_eq!(list(When::Past).await, ["over", "long over"]);
    assert_eq!(list(When::All).await, ["long over", "for a year", "over", "now", "soon", "later"]);
    let mine = harness.my_events(&person(1), page()).await.unwrap();
    assert_eq!(titles(mine.results), ["for a year", "now", "soon", "later"]);
    assert_eq!(harness.my_events(&person(2), page()).await.unwrap().count, 0);
    let two = PageQuery::new(2, 3);
    let rest = harness.group_events(Some(person(1)), hall.id, EventFilter::default(), two).await.unwrap();
    assert_eq!((rest.count, titles(rest.results)), (4, vec!["later".to_owned()]));
}

#[tokio::test]
async fn outsiders_do_not_see_events_of_a_private_group() {
    let harness = community().await;
    let den = harness.create_group(&person(1), private("den")).await.unwrap();
    // A public event of a private group is visible to members only.
    let event = harness.create_event(&person(1), den.id, meeting("feast")).await.unwrap().id;
    harness.add_member(den.id, 3).await;
    assert_eq!(titles(harness.my_events(&person(3), page()).await.unwrap().results), ["feast"]);
    answer(&harness, event, 3, Answer::Going).await;

    let outsider = person(2);
    let (all, known) = (EventFilter::default, IfMatch::default);
    assert_eq!(code(harness.group_events(Some(outsider), den.id, all(), page()).await), "group_not_found");
    assert_eq!(code(harness.group_events(Some(outsider), GroupId(99), all(), page()).await), "group_not_found");
    assert_eq!(code(harness.create_event(&outsider, den.id, meeting("x")).await), "group_not_found");
    assert_eq!(code(harness.event(Some(outsider), event).await), "event_not_found");
    assert_eq!(code(harness.event(None, event).await), "not_authenticated");
    let patch = EventPatch::default();
    assert_eq!(code(harness.change_event(&outsider, event, patch, known()).await), "event_not_found");
    assert_eq!(code(harness.delete_event(&outsider, event, known()).await), "event_not_found");
    assert_eq!(code(harness.answer_event(&outsider, event, going()).await), "event_not_found");
    assert_eq!(code(harness.withdraw_answer(&outsider, event).await), "event_not_found");
    assert_eq!(code(harness.attendees(&outsider, event, AttendeeFilter::default(), page()).await), "event_not_found");
    assert_eq!(code(harness.event_calendar(Some(outsider), event).await), "event_not_found");
    assert_eq!(harness.my_events(&outsider, page()).await.unwrap().count, 0);
    assert!(harness.event(Some(staff(9)), event).await.is_ok());
}

#[tokio::test]
async fn everybody_can_attend_public_events_of_public_groups() {
    let harness = community().await;
    let hall = harness.create_group(&person(1), named("hall")).await.unwrap();
    harness.add_member(hall.id, 3).await;
    let open = harness.create_event(&person(1), hall.id, meeting("open")).await.unwrap().id;
    let members = harness.create_event(&person(1), hall.id, for_members("members")).await.unwrap().id;
    let seen = async |caller: Caller| {
        let listed = harness.group_events(Some(caller), hall.id, EventFilter::default(), page()).await.unwrap();
        titles(listed.results)
    };
    assert_eq!(seen(person(3)).await, ["open", "members"]);
    assert_eq!(seen(person(4)).await, ["open"]);
    assert_eq!(code(harness.event(Some(person(4)), members).await), "event_not_found");
    assert_eq!(code(harness.answer_event(&person(4), members, going()).await), "event_not_found");
    assert_eq!(answer(&harness, open, 4, Answer::Going).await.status, Attendance::Going);
    answer(&harness, open, 3, Answer::Maybe).await;
    // They may attend, but not see the other attendees.
    let result = harness.attendees(&person(4), open, AttendeeFilter::default(), page()).await;
    assert_eq!(code(result), "not_member");
    let listed = harness.attendees(&person(3), open, AttendeeFilter::default(), page()).await.unwrap();
    let listed: Vec<_> =
        listed.results.iter().map(|attendee| (attendee.user.as_ref().unwrap().id, attendee.status)).collect();
    assert_eq!(listed, [(UserId(4), Attendance::Going), (UserId(3), Attendance::Maybe)]);

    // Once the event is not public any more, the RSVPs of people who are not members are deleted.
    let closed = EventPatch { is_public: Some(false), ..EventPatch::default() };
    assert_eq!(change(&harness, open, closed).await.going_count, 0);
    assert_eq!(harness.count_rows("community_rsvp").await, 1);
}

#[tokio::test]
async fn concurrent_rsvps_fill_the_spots_and_the_waiting_list_in_order() {
    let harness = with_connections(8).await;
    let event = in_hall(&harness, with_capacity(5)).await;
    let mut tasks = JoinSet::new();
    for user in 10..30 {
        let community = SqlCommunity::clone(&harness);
        tasks.spawn(async move { (user, community.answer_event(&person(user), event, going()).await.unwrap()) });
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
        let community = SqlCommunity::clone(&harness);
        tasks.spawn(async move { community.withdraw_answer(&person(user), event).await.unwrap() });
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

    harness.withdraw_answer(&person(2), event).await.unwrap();
    harness.withdraw_answer(&person(2), event).await.unwrap();
    assert_eq!((status(&harness, event, 2).await, status(&harness, event, 4).await), (None, Some(Attendance::Going)));
    assert_eq!(counts(&harness, event).await, (2, 2));
    // Declining frees the spot as well; an attendee who comes back joins the end of the waiting list.
    answer(&harness, event, 3, Answer::Declined).await;
    assert_eq!(status(&harness, event, 5).await, Some(Attendance::Going));
    assert_eq!(answer(&harness, event, 3, Answer::Going).await.position, Some(2));
    answer(&harness, event, 6, Answer::Maybe).await;
    assert_eq!(users_with_status(&harness, event, Attendance::Waiting).await, [3]);
    assert_eq!(counts(&harness, event).await, (2, 1));
    harness.withdraw_answer(&person(3), event).await.unwrap();
    assert_eq!(counts(&harness, event).await, (2, 0));
    harness.withdraw_answer(&person(4), event).await.unwrap();
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

    let fewer = harness.change_event(&person(1), event, capacity(Some(3)), IfMatch::default()).await;
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
    assert_eq!(code(harness.answer_event(&person(3), event, going()).await), "event_cancelled");
    let decline = NewRsvp { status: Answer::Declined };
    assert_eq!(code(harness.answer_event(&person(2), event, decline).await), "event_cancelled");
    assert!(harness.event_calendar(Some(person(2)), event).await.unwrap().contains("STATUS:CANCELLED\r\n"));
    harness.withdraw_answer(&person(2), event).await.unwrap();
    assert_eq!(counts(&harness, event).await, (0, 0));
    assert!(!change(&harness, event, cancelled(false)).await.is_cancelled);
    answer(&harness, event, 3, Answer::Going).await;
}

#[tokio::test]
async fn an_event_is_exported_as_a_calendar_file() {
    let harness = community().await;
    let new = NewEvent {
        description: "one, two;\r\nEND:VEVENT".into(),
        location: "hall; upstairs".into(),
        url: "https://example.org/x".into(),
        ..meeting("Bread, butter")
    };
    let event = in_hall(&harness, new).await;
    let file = harness.event_calendar(Some(person(4)), event).await.unwrap();
    let starts_at = harness.event(Some(person(4)), event).await.unwrap().starts_at.for_calendars();
    for line in [
        format!("UID:event-{event}@example.org"),
        format!("DTSTART:{starts_at}"),
        "SUMMARY:Bread\\, butter".to_owned(),
        "DESCRIPTION:one\\, two\\;\\nEND:VEVENT".to_owned(),
        "LOCATION:hall\\; upstairs".to_owned(),
        "URL:https://example.org/x".to_owned(),
        "STATUS:CONFIRMED".to_owned(),
        "SEQUENCE:0".to_owned(),
    ] {
        assert!(file.split("\r\n").any(|actual| actual == line), "{line}: {file}");
    }
    change(&harness, event, EventPatch::default()).await;
    let file = harness.event_calendar(Some(person(4)), event).await.unwrap();
    assert!(file.contains("SEQUENCE:1\r\n"));
}

#[tokio::test]
async fn leaving_a_private_group_frees_the_spot() {
    let harness = community().await;
    let den = harness.create_group(&person(1), private("den")).await.unwrap();
    let event = harness.create_event(&person(1), den.id, with_capacity(1)).await.unwrap().id;
    for user in [3, 4] {
        harness.add_member(den.id, user).await;
        answer(&harness, event, user, Answer::Going).await;
    }
    assert_eq!(counts(&harness, event).await, (1, 1));
    harness.leave(&person(3), den.id).await.unwrap();
    assert_eq!(users_with_status(&harness, event, Attendance::Going).await, [4]);
    assert_eq!(counts(&harness, event).await, (1, 0));
    harness.remove_member(&person(1), den.id, UserId(4)).await.unwrap();
    assert_eq!(counts(&harness, event).await, (0, 0));
}

#[tokio::test]
async fn a_listed_group_does_not_show_its_events() {
    let harness = community().await;
    let club = harness.create_group(&person(1), listed("club")).await.unwrap();
    let event = harness.create_event(&person(1), club.id, meeting("feast")).await.unwrap().id;
    let list = harness.group_events(Some(person(2)), club.id, EventFilter::default(), page()).await;
    assert_eq!(code(list), "not_member");
    assert_eq!(code(harness.event(Some(person(2)), event).await), "event_not_found");
    assert_eq!(code(harness.answer_event(&person(2), event, going()).await), "event_not_found");
}

#[tokio::test]
async fn anonymous_users_can_read_public_events_if_the_settings_allow_it() {
    let harness = harness::public().await;
    let open = in_hall(&harness, meeting("open")).await;
    let hall = harness.event(Some(person(1)), open).await.unwrap().group;
    let members = harness.create_event(&person(1), hall, for_members("members")).await.unwrap().id;
    let den = harness.create_group(&person(1), private("den")).await.unwrap();
    let secret = harness.create_event(&person(1), den.id, meeting("secret")).await.unwrap().id;
    let listed = harness.group_events(None, hall, EventFilter::default(), page()).await.unwrap();
    assert_eq!(titles(listed.results), ["open"]);
    assert_eq!(harness.event(None, open).await.unwrap().my_status, None);
    assert!(harness.event_calendar(None, open).await.is_ok());
    for event in [members, secret] {
        assert_eq!(code(harness.event(None, event).await), "event_not_found");
        assert_eq!(code(harness.event_calendar(None, event).await), "event_not_found");
    }
    let result = harness.group_events(None, den.id, EventFilter::default(), page()).await;
    assert_eq!(code(result), "group_not_found");
}
