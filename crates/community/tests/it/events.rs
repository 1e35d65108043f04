use std::time::Duration;

use guildhall_community::{
    Answer, Attendance, AttendeeFilter, Event, EventFilter, EventId, EventPatch, Events, GroupId, Groups, NewEvent,
    NewRsvp, Rsvp, Rsvps, When,
};
use guildhall_kernel::{IfMatch, PageQuery, Timestamp};

use crate::{
    fixtures::page,
    harness::{self, Harness, code, community, listed, named, person, private, staff},
};

pub(crate) fn hours(count: u64) -> Duration {
    Duration::from_secs(3_600 * count)
}

/// A public event tomorrow that lasts an hour.
pub(crate) fn meeting(title: &str) -> NewEvent {
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

pub(crate) fn for_members(title: &str) -> NewEvent {
    NewEvent { is_public: false, ..meeting(title) }
}

pub(crate) fn capacity(capacity: Option<i64>) -> EventPatch {
    EventPatch { capacity: Some(capacity), ..EventPatch::default() }
}

pub(crate) fn going() -> NewRsvp {
    NewRsvp { status: Answer::Going }
}

/// Creates an event in a public group of user 1.
pub(crate) async fn in_hall(harness: &Harness, new: NewEvent) -> EventId {
    let hall = harness.groups.create_group(&person(1), named("hall")).await.unwrap();
    harness.events.create_event(&person(1), hall.id, new).await.unwrap().id
}

pub(crate) async fn answer(harness: &Harness, event: EventId, user: i64, status: Answer) -> Rsvp {
    harness.events.answer_event(&person(user), event, NewRsvp { status }).await.unwrap()
}

/// The status of a user's RSVP.
pub(crate) async fn status(harness: &Harness, event: EventId, user: i64) -> Option<Attendance> {
    harness.events.event(Some(person(user)), event).await.unwrap().my_status
}

pub(crate) async fn change(harness: &Harness, event: EventId, patch: EventPatch) -> Event {
    harness.events.change_event(&person(1), event, patch, IfMatch::default()).await.unwrap()
}

pub(crate) fn titles(events: Vec<Event>) -> Vec<String> {
    events.into_iter().map(|event| event.title).collect()
}

#[tokio::test]
async fn moderators_manage_events() {
    let harness = community().await;
    let hall = harness.groups.create_group(&person(1), named("hall")).await.unwrap();
    harness.add_member(hall.id, 3).await;
    let new = NewEvent {
        description: "**bring** bread".into(),
        location: " the hall ".into(),
        url: "https://example.org/dinner".into(),
        ..meeting("  Dinner ")
    };
    let event = harness.events.create_event(&person(1), hall.id, new).await.unwrap();
    assert_eq!((event.title.as_str(), event.location.as_str(), event.group), ("Dinner", "the hall", hall.id));
    assert_eq!((event.going_count, event.waiting_count, event.my_status), (0, 0, None));
    assert!(event.description_html.contains("<strong>bring</strong>"));
    assert_eq!(event.creator.as_ref().unwrap().username, "person-1");
    assert_eq!(harness.events.event(Some(person(1)), event.id).await.unwrap(), event);
    harness.events.create_event(&staff(9), hall.id, meeting("by staff")).await.unwrap();

    let (known, patch) = (IfMatch::default, EventPatch::default);
    assert_eq!(code(harness.events.create_event(&person(3), hall.id, meeting("x")).await), "not_moderator");
    assert_eq!(code(harness.events.create_event(&person(4), hall.id, meeting("x")).await), "not_member");
    assert_eq!(code(harness.events.change_event(&person(3), event.id, patch(), known()).await), "not_moderator");
    assert_eq!(code(harness.events.change_event(&person(4), event.id, patch(), known()).await), "not_member");
    assert_eq!(code(harness.events.delete_event(&person(3), event.id, known()).await), "not_moderator");
    let stale = || IfMatch::only(Timestamp::EPOCH.into());
    assert_eq!(code(harness.events.change_event(&person(1), event.id, patch(), stale()).await), "stale");
    assert_eq!(code(harness.events.delete_event(&person(1), event.id, stale()).await), "stale");

    let supper = EventPatch { title: Some("Supper".into()), location: Some(String::new()), ..patch() };
    let current = IfMatch::only(event.updated_at.into());
    let changed = harness.events.change_event(&person(1), event.id, supper, current).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.location.as_str()), ("Supper", ""));
    assert_eq!((&changed.url, changed.starts_at), (&event.url, event.starts_at));
    assert!(changed.updated_at > event.updated_at);
    answer(&harness, event.id, 3, Answer::Going).await;
    harness.events.delete_event(&person(1), event.id, known()).await.unwrap();
    assert_eq!((harness.db.count_rows("community_event").await, harness.db.count_rows("community_rsvp").await), (1, 0));
    assert_eq!(code(harness.events.event(Some(person(1)), event.id).await), "event_not_found");
}

#[tokio::test]
async fn invalid_input_stores_nothing() {
    let harness = community().await;
    let hall = harness.groups.create_group(&person(1), named("hall")).await.unwrap();
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
        assert_eq!(code(harness.events.create_event(&person(1), hall.id, new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.db.count_rows("community_event").await, 0);

    let event = harness.events.create_event(&person(1), hall.id, meeting("x")).await.unwrap();
    let none = EventPatch::default;
    for patch in [
        EventPatch { title: Some(" ".into()), ..none() },
        EventPatch { url: Some("//example.org".into()), ..none() },
        EventPatch { ends_at: Some(Timestamp::now()), ..none() },
        EventPatch { starts_at: Some(event.ends_at + hours(1)), ..none() },
        capacity(Some(-1)),
    ] {
        let result = harness.events.change_event(&person(1), event.id, patch.clone(), IfMatch::default()).await;
        assert_eq!(code(result), "invalid", "{patch:?}");
    }
    assert_eq!(harness.events.event(Some(person(1)), event.id).await.unwrap(), event);
}

#[tokio::test]
async fn events_are_listed_by_time() {
    let harness = community().await;
    let hall = harness.groups.create_group(&person(1), named("hall")).await.unwrap();
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
        harness.events.create_event(&person(1), hall.id, new).await.unwrap();
    }
    let list = async |when| {
        let listed = harness.events.group_events(Some(person(1)), hall.id, EventFilter { when }, page()).await.unwrap();
        titles(listed.results)
    };
    assert_eq!(list(When::Upcoming).await, ["for a year", "now", "soon", "later"]);
    assert_eq!(list(When::Past).await, ["over", "long over"]);
    assert_eq!(list(When::All).await, ["long over", "for a year", "over", "now", "soon", "later"]);
    let mine = harness.events.my_events(&person(1), page()).await.unwrap();
    assert_eq!(titles(mine.results), ["for a year", "now", "soon", "later"]);
    assert_eq!(harness.events.my_events(&person(2), page()).await.unwrap().count, 0);
    let two = PageQuery::new(2, 3);
    let rest = harness.events.group_events(Some(person(1)), hall.id, EventFilter::default(), two).await.unwrap();
    assert_eq!((rest.count, titles(rest.results)), (4, vec!["later".to_owned()]));
}

#[tokio::test]
async fn outsiders_do_not_see_events_of_a_private_group() {
    let harness = community().await;
    let den = harness.groups.create_group(&person(1), private("den")).await.unwrap();
    // A public event of a private group is visible to members only.
    let event = harness.events.create_event(&person(1), den.id, meeting("feast")).await.unwrap().id;
    harness.add_member(den.id, 3).await;
    assert_eq!(titles(harness.events.my_events(&person(3), page()).await.unwrap().results), ["feast"]);
    answer(&harness, event, 3, Answer::Going).await;

    let outsider = person(2);
    let (all, known) = (EventFilter::default, IfMatch::default);
    assert_eq!(code(harness.events.group_events(Some(outsider), den.id, all(), page()).await), "group_not_found");
    assert_eq!(code(harness.events.group_events(Some(outsider), GroupId(99), all(), page()).await), "group_not_found");
    assert_eq!(code(harness.events.create_event(&outsider, den.id, meeting("x")).await), "group_not_found");
    assert_eq!(code(harness.events.event(Some(outsider), event).await), "event_not_found");
    assert_eq!(code(harness.events.event(None, event).await), "not_authenticated");
    let patch = EventPatch::default();
    assert_eq!(code(harness.events.change_event(&outsider, event, patch, known()).await), "event_not_found");
    assert_eq!(code(harness.events.delete_event(&outsider, event, known()).await), "event_not_found");
    assert_eq!(code(harness.events.answer_event(&outsider, event, going()).await), "event_not_found");
    assert_eq!(code(harness.events.withdraw_answer(&outsider, event).await), "event_not_found");
    assert_eq!(
        code(harness.events.attendees(&outsider, event, AttendeeFilter::default(), page()).await),
        "event_not_found"
    );
    assert_eq!(code(harness.events.event_calendar(Some(outsider), event).await), "event_not_found");
    assert_eq!(harness.events.my_events(&outsider, page()).await.unwrap().count, 0);
    assert!(harness.events.event(Some(staff(9)), event).await.is_ok());
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
    let file = harness.events.event_calendar(Some(person(4)), event).await.unwrap();
    let starts_at = harness.events.event(Some(person(4)), event).await.unwrap().starts_at.for_calendars();
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
    let file = harness.events.event_calendar(Some(person(4)), event).await.unwrap();
    assert!(file.contains("SEQUENCE:1\r\n"));
}

#[tokio::test]
async fn a_listed_group_does_not_show_its_events() {
    let harness = community().await;
    let club = harness.groups.create_group(&person(1), listed("club")).await.unwrap();
    let event = harness.events.create_event(&person(1), club.id, meeting("feast")).await.unwrap().id;
    let list = harness.events.group_events(Some(person(2)), club.id, EventFilter::default(), page()).await;
    assert_eq!(code(list), "not_member");
    assert_eq!(code(harness.events.event(Some(person(2)), event).await), "event_not_found");
    assert_eq!(code(harness.events.answer_event(&person(2), event, going()).await), "event_not_found");
}

#[tokio::test]
async fn anonymous_users_can_read_public_events_if_the_settings_allow_it() {
    let harness = harness::public().await;
    let open = in_hall(&harness, meeting("open")).await;
    let hall = harness.events.event(Some(person(1)), open).await.unwrap().group;
    let members = harness.events.create_event(&person(1), hall, for_members("members")).await.unwrap().id;
    let den = harness.groups.create_group(&person(1), private("den")).await.unwrap();
    let secret = harness.events.create_event(&person(1), den.id, meeting("secret")).await.unwrap().id;
    let listed = harness.events.group_events(None, hall, EventFilter::default(), page()).await.unwrap();
    assert_eq!(titles(listed.results), ["open"]);
    assert_eq!(harness.events.event(None, open).await.unwrap().my_status, None);
    assert!(harness.events.event_calendar(None, open).await.is_ok());
    for event in [members, secret] {
        assert_eq!(code(harness.events.event(None, event).await), "event_not_found");
        assert_eq!(code(harness.events.event_calendar(None, event).await), "event_not_found");
    }
    let result = harness.events.group_events(None, den.id, EventFilter::default(), page()).await;
    assert_eq!(code(result), "group_not_found");
}
