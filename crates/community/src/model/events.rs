use axum::http::Uri;
use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{EventId, GroupId};

/// Whether somebody comes to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Attendance {
    /// They come, and have a place.
    Going,
    /// They do not know yet.
    Maybe,
    /// They do not come.
    Declined,
    /// They would come, but there is no place; whoever has waited longest gets the next one.
    Waiting,
}

/// An event as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// The group that holds it.
    pub group: GroupId,
    /// Who announced it; `null` once they are gone.
    pub creator: Option<Person>,
    /// What it is called.
    pub title: String,
    /// What it is about, as Markdown.
    pub description: String,
    /// The same as HTML that is safe to show.
    pub description_html: String,
    /// Where it is; may be empty.
    pub location: String,
    /// Where it is on the web; may be empty.
    pub url: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// How many places there are, if that is limited.
    pub capacity: Option<i64>,
    /// Those who are not in the group may come too, if the group is public.
    pub is_public: bool,
    /// It does not take place.
    pub is_cancelled: bool,
    /// How many come.
    pub going_count: i64,
    /// How many wait for a place.
    pub waiting_count: i64,
    /// Whether the caller comes; `null` before they have said.
    pub my_status: Option<Attendance>,
    /// When it was announced.
    pub created_at: Timestamp,
    /// When it last changed. Answers do not change it.
    pub updated_at: Timestamp,
}

/// An event to be announced.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewEvent {
    /// What to call it.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// What it is about, as Markdown.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub description: String,
    /// Where it is.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub location: String,
    /// Where it is on the web: `https://…` or `http://…`.
    #[serde(default)]
    #[garde(custom(address))]
    pub url: String,
    /// When it begins.
    #[garde(skip)]
    pub starts_at: Timestamp,
    /// When it ends: not before it begins, and at most 366 days later.
    #[garde(skip)]
    pub ends_at: Timestamp,
    /// How many places there are; without it for as many as come.
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub capacity: Option<i64>,
    /// Those who are not in the group may come too, if the group is public.
    #[serde(default)]
    #[garde(skip)]
    pub is_public: bool,
}

/// A change to an event; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct EventPatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// What it is about, as Markdown.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub description: Option<String>,
    /// Where it is.
    #[garde(custom(text::maybe(text::line(0, 500))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub location: Option<String>,
    /// Where it is on the web; empty for nowhere.
    #[garde(inner(custom(address)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub url: Option<String>,
    /// When it begins.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub starts_at: Option<Timestamp>,
    /// When it ends.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub ends_at: Option<Timestamp>,
    /// How many places there are, at least as many as are taken; `null` for as many as come.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(inner(inner(range(min = 1, max = 1_000_000))))]
    #[schema(value_type = Option<i64>)]
    pub capacity: Option<Option<i64>>,
    /// Those who are not in the group may come too. When this is taken back, so are their answers.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_public: Option<bool>,
    /// It does not take place.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_cancelled: Option<bool>,
}

/// The address of a page on the web, or nothing.
fn address(url: &str, (): &()) -> garde::Result {
    text::line(0, 2_000)(url, &())?;
    let url = url.trim();
    if url.is_empty() || url.parse::<Uri>().is_ok_and(|uri| is_web(&uri)) {
        Ok(())
    } else {
        Err(garde::Error::new("Enter an address that begins with https:// or http://."))
    }
}

fn is_web(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some_and(|host| !host.is_empty())
}

/// Which events of a group to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventFilter {
    /// `upcoming` unless said otherwise.
    #[serde(default)]
    #[param(inline)]
    pub when: When,
}

/// When an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It has not ended.
    #[default]
    Upcoming,
    /// It has ended.
    Past,
    /// At any time.
    All,
}

/// What somebody says to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// They come, or wait until there is a place.
    Going,
    /// They do not know yet.
    Maybe,
    /// They do not come.
    Declined,
}

/// An answer to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub struct NewRsvp {
    /// Whether the caller comes.
    pub status: Answer,
}

/// What has become of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rsvp {
    /// Whether the caller comes.
    pub status: Attendance,
    /// The place on the waiting list, from 1; `null` for those who do not wait.
    pub position: Option<i64>,
}

/// Which answers to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttendeeFilter {
    /// Only these.
    #[param(inline)]
    pub status: Option<Attendance>,
}

/// Somebody who has answered an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attendee {
    /// Who.
    pub user: Option<Person>,
    /// Whether they come.
    pub status: Attendance,
    /// Since when that is so.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_on_the_web_are_addresses() {
        for good in ["", " ", "https://example.org", "http://localhost:8000/a?b=c#d", " https://[::1]/ "] {
            assert!(address(good, &()).is_ok(), "{good}");
        }
        for bad in [
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
            assert!(address(bad, &()).is_err(), "{bad}");
        }
        assert!(address(&format!("https://example.org/{}", "x".repeat(2_000)), &()).is_err());
    }
}
