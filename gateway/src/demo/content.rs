//! The content: people and steps.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

const PEOPLE: &str = include_str!("steps/people.json");
/// The steps of each area. Steps of one area may refer to earlier ones of any other.
const AREAS: [&str; 6] = [
    include_str!("steps/groups.json"),
    include_str!("steps/posts.json"),
    include_str!("steps/learning.json"),
    include_str!("steps/messages.json"),
    include_str!("steps/rooms.json"),
    include_str!("steps/deals.json"),
];

/// Somebody in the community.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    /// How long before the demo is created they join: `42d 3h`.
    pub(super) ago: &'static str,
    pub(super) username: &'static str,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    #[serde(default)]
    pub(super) roles: Vec<&'static str>,
    /// What they are, if a newcomer should sign in as them.
    pub(super) part: Option<&'static str>,
}

/// A request by a person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// How long before the demo is created it happens: `2d 3h 20m`.
    pub(super) ago: &'static str,
    /// The username of who does it.
    pub(super) who: &'static str,
    /// The method and the path, with placeholders.
    #[serde(rename = "do")]
    pub(super) request: &'static str,
    /// The JSON, with placeholders.
    #[serde(default, rename = "with")]
    pub(super) body: Value,
    /// The name under which the answer is kept.
    #[serde(rename = "as")]
    pub(super) name: Option<&'static str>,
}

impl Step {
    /// Whether a person does it, or is mentioned in it.
    pub(super) fn mentions(&self, name: &str) -> bool {
        let (alone, with_field) = (format!("{{{name}}}"), format!("{{{name}."));
        let body = self.body.to_string();
        let contains = |text: &str| text.contains(&alone) || text.contains(&with_field);
        self.who == name || contains(self.request) || contains(&body)
    }
}

/// The people, in the order in which they join.
pub(super) fn people() -> anyhow::Result<Vec<Person>> {
    serde_json::from_str(PEOPLE).context("people.json is not valid")
}

/// The steps of all areas, in the order of their times.
pub(super) fn steps() -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for area in AREAS {
        for step in serde_json::from_str::<Vec<Step>>(area).context("the steps of an area are not valid")? {
            steps.push((duration(step.ago)?, step));
        }
    }
    steps.sort_by_key(|(ago, _)| std::cmp::Reverse(*ago));
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

/// Reads `2d 3h 20m`.
pub(super) fn duration(text: &str) -> anyhow::Result<Duration> {
    let mut seconds = 0;
    for part in text.split_ascii_whitespace() {
        let unit = match part.chars().last() {
            Some('d') => 86_400,
            Some('h') => 3600,
            Some('m') => 60,
            _ => anyhow::bail!("{text:?} is not a duration"),
        };
        let number: u64 = part[..part.len() - 1].parse().with_context(|| format!("{text:?} is not a duration"))?;
        seconds += number * unit;
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_days_hours_and_minutes() {
        assert_eq!(duration("2d 3h 20m").unwrap(), Duration::from_secs(184_800));
        assert_eq!(duration("5m").unwrap(), Duration::from_secs(300));
        for text in ["5", "m", "5 m", "-5m", "5é"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_steps_are_in_the_order_of_their_times_and_none_is_in_the_future() {
        let ago: Vec<_> = steps().unwrap().iter().map(|step| duration(step.ago).unwrap()).collect();
        assert!(ago.is_sorted_by(|earlier, later| earlier >= later));
        assert!(ago[0] < Duration::from_hours(43 * 24) && ago[ago.len() - 1] >= Duration::from_mins(1));
        let joined: Vec<_> = people().unwrap().iter().map(|person| duration(person.ago).unwrap()).collect();
        assert!(joined.is_sorted_by(|earlier, later| earlier > later) && joined[joined.len() - 1] > ago[0]);
    }

    #[test]
    fn nothing_in_the_content_can_be_fetched_or_reached() {
        for area in AREAS.into_iter().chain([PEOPLE]) {
            assert!(!area.contains("://") && !area.contains("www."), "a link would be fetched for a preview");
            for (_, after) in area.match_indices('@').map(|(at, _)| area.split_at(at + 1)) {
                let name: String = after.chars().take_while(|c| c.is_alphanumeric() || ".-{}".contains(*c)).collect();
                let domain = name.trim_end_matches('.');
                let is_name = !domain.contains('.') || domain.starts_with('{');
                assert!(is_name || domain.ends_with("example.org") || domain.ends_with("example.com"), "{domain}");
            }
        }
    }

    #[test]
    fn a_step_mentions_who_does_it_and_those_in_placeholders() {
        let step = |text: &'static str| serde_json::from_str::<Step>(text).unwrap();
        assert!(step(r#"{"ago": "1d", "who": "you", "do": "GET /"}"#).mentions("you"));
        assert!(step(r#"{"ago": "1d", "who": "anna", "do": "GET /{you}/"}"#).mentions("you"));
        assert!(
            step(r#"{"ago": "1d", "who": "anna", "do": "POST /", "with": {"a": ["@{you.username}"]}}"#).mentions("you")
        );
        assert!(!step(r#"{"ago": "1d", "who": "anna", "do": "POST /", "with": {"a": "you {your}"}}"#).mentions("you"));
    }
}
