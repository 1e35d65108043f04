//! Events as iCalendar files (RFC 5545).

use guildhall_kernel::PublicUrl;
use icalendar::{Calendar, Component, Event, EventStatus};

use crate::entity::event;

/// An event as a calendar of its own. The UID ends with the host of `home`, so that it is unique among services.
pub(crate) fn file(event: &event::Model, home: &PublicUrl) -> String {
    let mut entry = Event::new();
    entry.uid(&format!("event-{}@{}", event.id, host_of(home)));
    // Without METHOD, DTSTAMP is the time of the last change (§3.8.7.2).
    entry.add_property("DTSTAMP", event.updated_at.for_calendars());
    entry.add_property("DTSTART", event.starts_at.for_calendars());
    // DTEND has to be later than DTSTART (§3.8.2.2).
    if event.ends_at.unix_seconds() > event.starts_at.unix_seconds() {
        entry.add_property("DTEND", event.ends_at.for_calendars());
    }
    entry.add_property("SEQUENCE", event.revision.to_string());
    entry.summary(&event.title);
    entry.status(if event.is_cancelled { EventStatus::Cancelled } else { EventStatus::Confirmed });
    // Content lines end with CRLF, but inside a text only LF is escaped.
    let description = event.description.replace("\r\n", "\n").replace('\r', "\n");
    for (text, name) in [(&description, "DESCRIPTION"), (&event.location, "LOCATION"), (&event.url, "URL")] {
        if !text.is_empty() {
            entry.add_property(name, text.as_str());
        }
    }
    let mut calendar = Calendar::empty();
    for property in [("VERSION", "2.0"), ("PRODID", "-//Guildhall//Community//EN"), ("CALSCALE", "GREGORIAN")] {
        calendar.append_property(property);
    }
    calendar.push(entry);
    calendar.to_string()
}

/// The host of a URL, without its port.
fn host_of(url: &PublicUrl) -> String {
    let uri = url.to_string().parse::<axum::http::Uri>();
    uri.ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Timestamp;

    use super::*;
    use crate::id::{EventId, GroupId};

    fn event() -> event::Model {
        event::Model {
            id: EventId(7),
            group_id: GroupId(1),
            creator_id: None,
            title: "Bread, butter; and \\ more".to_owned(),
            description: "one\r\ntwo\nEND:VEVENT".to_owned(),
            description_html: String::new(),
            location: String::new(),
            url: "https://example.org/a,b;c".to_owned(),
            starts_at: Timestamp::from_unix_seconds(1_735_986_600),
            ends_at: Timestamp::from_unix_seconds(1_735_990_200),
            capacity: None,
            is_public: false,
            is_cancelled: false,
            going_count: 0,
            waiting_count: 0,
            revision: 3,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::from_unix_seconds(60),
        }
    }

    fn lines(event: &event::Model) -> Vec<String> {
        let file = file(event, &"https://example.org:8443/guild".parse().unwrap());
        assert!(file.ends_with("\r\n") && !file.replace("\r\n", "").contains(['\r', '\n']), "{file:?}");
        assert!(file.split("\r\n").all(|line| line.len() <= 75), "{file:?}");
        file.replace("\r\n ", "").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_file_contains_all_properties_of_the_event() {
        let lines = lines(&event());
        for line in [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "UID:event-7@example.org",
            "DTSTAMP:19700101T000100Z",
            "DTSTART:20250104T103000Z",
            "DTEND:20250104T113000Z",
            "SEQUENCE:3",
            "STATUS:CONFIRMED",
            "SUMMARY:Bread\\, butter\\; and \\\\ more",
            "DESCRIPTION:one\\ntwo\\nEND:VEVENT",
            "URL:https://example.org/a,b;c",
            "END:VCALENDAR",
        ] {
            assert!(lines.iter().any(|actual| actual == line), "{line}: {lines:?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("LOCATION")));
    }

    #[test]
    fn zero_duration_omits_the_end_and_cancellation_sets_the_status() {
        let event = event::Model { ends_at: event().starts_at, is_cancelled: true, ..event() };
        let lines = lines(&event);
        assert!(!lines.iter().any(|line| line.starts_with("DTEND")));
        assert!(lines.iter().any(|line| line == "STATUS:CANCELLED"));
    }

    #[test]
    fn long_lines_are_folded_between_characters() {
        let event = event::Model { description: "Käse, Brot und Wein \n".repeat(500), ..event() };
        let lines = lines(&event);
        let description = lines.iter().find(|line| line.starts_with("DESCRIPTION:")).unwrap();
        assert_eq!(description.matches("Käse\\, Brot und Wein \\n").count(), 500);
    }
}
