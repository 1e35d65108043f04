use axum::http::Uri;
use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    entity::rsvp::Attendance,
    id::{EventId, GroupId},
};

/// An event as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// The group that organizes it.
    pub group: GroupId,
    /// Who created it; `null` once their account is deleted.
    pub creator: Option<Person>,
    /// Its title.
    pub title: String,
    /// Its description, as Markdown.
    pub description: String,
    /// The description as sanitized HTML.
    pub description_html: String,
    /// The place; may be empty.
    pub location: String,
    /// A web page, such as a video call; may be empty.
    pub url: String,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Number of spots, if limited.
    pub capacity: Option<i64>,
    /// If the group is public, people who are not members may attend too.
    pub is_public: bool,
    /// It has been cancelled.
    pub is_cancelled: bool,
    /// Number of attendees.
    pub going_count: i64,
    /// Number of people on the waiting list.
    pub waiting_count: i64,
    /// The status of the caller's RSVP; `null` if they have none.
    pub my_status: Option<Attendance>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed. RSVPs do not change it.
    pub updated_at: Timestamp,
}

/// An event to create.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewEvent {
    /// Its title.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// Its description, as Markdown.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub description: String,
    /// The place.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub location: String,
    /// A web page, such as a video call: `https://…` or `http://…`.
    #[serde(default)]
    #[garde(custom(web_url))]
    pub url: String,
    /// When it starts.
    #[garde(skip)]
    pub starts_at: Timestamp,
    /// When it ends: not before it starts, and at most 366 days after.
    #[garde(skip)]
    pub ends_at: Timestamp,
    /// Number of spots; unlimited if absent.
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub capacity: Option<i64>,
    /// If the group is public, people who are not members may attend too.
    #[serde(default)]
    #[garde(skip)]
    pub is_public: bool,
}

/// A change to an event; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct EventPatch {
    /// Its title.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Its description, as Markdown.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub description: Option<String>,
    /// The place.
    #[garde(custom(text::maybe(text::line(0, 500))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub location: Option<String>,
    /// A web page, such as a video call; empty to remove it.
    #[garde(inner(custom(web_url)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub url: Option<String>,
    /// When it starts.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub starts_at: Option<Timestamp>,
    /// When it ends.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub ends_at: Option<Timestamp>,
    /// Number of spots, at least the number of attendees; `null` removes the limit.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(inner(inner(range(min = 1, max = 1_000_000))))]
    #[schema(value_type = Option<i64>)]
    pub capacity: Option<Option<i64>>,
    /// People who are not members may attend too. Setting it to `false` removes their RSVPs.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_public: Option<bool>,
    /// It has been cancelled.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_cancelled: Option<bool>,
}

/// An absolute `http` or `https` URL, or nothing.
fn web_url(url: &str, (): &()) -> garde::Result {
    text::line(0, 2_000)(url, &())?;
    let url = url.trim();
    if url.is_empty() || url.parse::<Uri>().is_ok_and(|uri| is_http(&uri)) {
        Ok(())
    } else {
        Err(garde::Error::new("Enter a URL that begins with https:// or http://."))
    }
}

fn is_http(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some_and(|host| !host.is_empty())
}

/// Filters of the list of events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventFilter {
    /// By time; `upcoming` by default.
    #[serde(default)]
    #[param(inline)]
    pub when: When,
}

/// Filter by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Events that have not ended.
    #[default]
    Upcoming,
    /// Events that have ended.
    Past,
    /// All events.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_are_accepted() {
        for valid in ["", " ", "https://example.org", "http://localhost:8000/a?b=c#d", " https://[::1]/ "] {
            assert!(web_url(valid, &()).is_ok(), "{valid}");
        }
        for invalid in [
            "javascript:alert(1)",
            "ftp://example.org",
            "//example.org",
            "example.org",
            "/there",
            "https://",
            "https:///x",
            "https://exam ple.org",
            "https://example.org/\nx",
            "data:text/html,x",
            "mailto:anna@example.org",
        ] {
            assert!(web_url(invalid, &()).is_err(), "{invalid}");
        }
        assert!(web_url(&format!("https://example.org/{}", "x".repeat(2_000)), &()).is_err());
    }
}
