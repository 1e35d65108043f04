//! Placeholders in requests: `{name}` and `{name.path.to.field}` for the answers of earlier steps, `{day+3 18:30}` for a
//! time in UTC, and `{date-2}` for a date.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use guildhall_kernel::Timestamp;
use serde_json::{Map, Value};

const DAY: Duration = Duration::from_hours(24);

/// What placeholders stand for.
pub(super) struct Placeholders {
    /// The start of today, in UTC.
    today: Timestamp,
    answers: HashMap<String, Value>,
}

impl Placeholders {
    pub(super) fn new(now: Timestamp) -> Self {
        let seconds = now.unix_seconds();
        let today = Timestamp::from_unix_seconds(seconds - seconds.rem_euclid(86_400));
        Self { today, answers: HashMap::new() }
    }

    /// Keeps an answer under a name.
    pub(super) fn keep(&mut self, name: &str, answer: Value) {
        self.answers.insert(name.to_owned(), answer);
    }

    /// Fills in all strings of a JSON value. A string that is one placeholder becomes its value: a number stays one.
    pub(super) fn fill(&self, value: &Value) -> anyhow::Result<Value> {
        Ok(match value {
            Value::String(text) => match only_placeholder(text) {
                Some(placeholder) => self.value(placeholder)?,
                None => Value::String(self.fill_text(text)?),
            },
            Value::Array(values) => {
                Value::Array(values.iter().map(|value| self.fill(value)).collect::<anyhow::Result<_>>()?)
            }
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| Ok((key.clone(), self.fill(value)?)));
                Value::Object(fields.collect::<anyhow::Result<Map<_, _>>>()?)
            }
            other => other.clone(),
        })
    }

    /// Fills in the placeholders of a text.
    pub(super) fn fill_text(&self, text: &str) -> anyhow::Result<String> {
        let mut parts = text.split('{');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (placeholder, rest) = part.split_once('}').with_context(|| format!("{text:?} lacks a brace"))?;
            match self.value(placeholder)? {
                Value::String(value) => filled.push_str(&value),
                value => filled.push_str(&value.to_string()),
            }
            filled.push_str(rest);
        }
        Ok(filled)
    }

    fn value(&self, placeholder: &str) -> anyhow::Result<Value> {
        let value = match placeholder {
            time if time.starts_with("day") => self.time(&time[3..]).map(|time| time.to_string().into()),
            date if date.starts_with("date") => self.day(&date[4..]).map(|day| day.to_string()[..10].into()),
            answer => self.answer(answer),
        };
        value.with_context(|| format!("{{{placeholder}}} stands for nothing"))
    }

    fn answer(&self, placeholder: &str) -> Option<Value> {
        let (name, path) = placeholder.split_once('.').unwrap_or((placeholder, ""));
        let answer = self.answers.get(name)?;
        if path.is_empty() {
            // Answers of messaging have their object in a field.
            let ids = ["/id", "/message/id", "/conversation/conversation_id"];
            return ids.into_iter().find_map(|id| answer.pointer(id)).cloned();
        }
        answer.pointer(&format!("/{}", path.replace('.', "/"))).cloned()
    }

    /// The start of the day so many days from today: `+3`, `-2`.
    fn day(&self, days: &str) -> Option<Timestamp> {
        let days: i32 = days.parse().ok()?;
        let duration = DAY * days.unsigned_abs();
        Some(if days < 0 { self.today - duration } else { self.today + duration })
    }

    /// `+3 18:30`.
    fn time(&self, text: &str) -> Option<Timestamp> {
        let (day, time) = text.split_once(' ')?;
        let (hours, minutes) = time.split_once(':')?;
        let seconds = hours.parse::<u32>().ok()? * 3600 + minutes.parse::<u32>().ok()? * 60;
        Some(self.day(day)? + Duration::from_secs(seconds.into()))
    }
}

/// The placeholder that a text consists of.
fn only_placeholder(text: &str) -> Option<&str> {
    let placeholder = text.strip_prefix('{')?.strip_suffix('}')?;
    (!placeholder.contains(['{', '}'])).then_some(placeholder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn placeholders() -> Placeholders {
        // 4 January 2025, 10:30 UTC.
        let mut placeholders = Placeholders::new(Timestamp::from_unix_seconds(1_735_986_600));
        placeholders.keep("post", json!({"id": 7, "tags": ["wood"]}));
        placeholders.keep("sent", json!({"message": {"id": 8}}));
        placeholders
    }

    #[test]
    fn answers_are_filled_in_as_numbers_and_as_text() {
        let body = json!({"post": "{post}", "all": ["{sent}", "@{post.tags.0}!", null]});
        let filled = placeholders().fill(&body).unwrap();
        assert_eq!(filled, json!({"post": 7, "all": [8, "@wood!", null]}));
        assert_eq!(placeholders().fill_text("/posts/{post}/{sent.message.id}/").unwrap(), "/posts/7/8/");
    }

    #[test]
    fn times_and_dates_count_from_today() {
        let filled = placeholders().fill(&json!(["{day+1 18:30}", "{day-1 00:05}", "{date-4}", "{date+0}"])).unwrap();
        let expected = ["2025-01-05T18:30:00.000000Z", "2025-01-03T00:05:00.000000Z", "2024-12-31", "2025-01-04"];
        assert_eq!(filled, json!(expected));
    }

    #[test]
    fn an_unknown_placeholder_is_an_error() {
        for text in ["{nobody}", "{post.author.id}", "{day+1}", "{day 10:00}", "{date}", "{post"] {
            assert!(placeholders().fill_text(text).is_err(), "{text}");
        }
    }
}
