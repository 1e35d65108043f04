//! The texts of the pages in several languages, and how numbers and times are written.

mod accept;
mod moments;

use std::{borrow::Cow, fmt::Display, sync::LazyLock};

use chrono_tz::Tz;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle, types::FluentNumber};
use guildhall_kernel::Timestamp;

pub(crate) use accept::best_of;

/// The text of each language, with its tag, its name in itself, and how it separates thousands. The first is complete
/// and stands in for the others.
const SOURCES: [(&str, &str, char, &str); 2] = [
    ("en", "English", ',', include_str!("../locales/en.ftl")),
    ("de", "Deutsch", '.', include_str!("../locales/de.ftl")),
];

/// The texts of a language.
struct Catalog {
    tag: &'static str,
    thousands: char,
    bundle: FluentBundle<FluentResource>,
}

static CATALOGS: LazyLock<Vec<Catalog>> = LazyLock::new(|| SOURCES.into_iter().map(catalog).collect());

fn catalog((tag, _, thousands, source): (&'static str, &'static str, char, &'static str)) -> Catalog {
    // What could be parsed is used: a test checks that this is everything.
    let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(partial, _)| partial);
    let mut bundle = FluentBundle::new_concurrent(tag.parse().into_iter().collect());
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    Catalog { tag, thousands, bundle }
}

/// A language with a time zone: how a reader sees the pages.
#[derive(Clone, Copy)]
pub(crate) struct Locale {
    catalog: &'static Catalog,
    zone: Tz,
}

/// A value in a text: a text, or a number that decides on the plural form.
pub(crate) enum Arg<'a> {
    Text(Cow<'a, str>),
    Number(i64),
}

impl Locale {
    /// The languages that there are: their tags and their own names.
    pub(crate) fn languages() -> impl Iterator<Item = (&'static str, &'static str)> {
        SOURCES.iter().map(|(tag, name, ..)| (*tag, *name))
    }

    /// The language with this tag, or the first one.
    pub(crate) fn new(tag: &str, zone: Tz) -> Self {
        let catalogs: &'static [Catalog] = &CATALOGS;
        let catalog = catalogs.iter().find(|catalog| catalog.tag == tag).unwrap_or(&catalogs[0]);
        Self { catalog, zone }
    }

    /// The tag of the language.
    pub(crate) fn tag(self) -> &'static str {
        self.catalog.tag
    }

    /// The time zone.
    pub(crate) fn zone(self) -> Tz {
        self.zone
    }

    /// The text with this key, if there is one.
    pub(crate) fn find(self, key: &str, args: &[(&str, Arg<'_>)]) -> Option<String> {
        format(self.catalog, key, args).or_else(|| format(CATALOGS.first()?, key, args))
    }

    /// The text with this key; the key itself if there is none.
    pub(crate) fn text(self, key: &str, args: &[(&str, Arg<'_>)]) -> String {
        self.find(key, args).unwrap_or_else(|| key.to_owned())
    }

    /// A number with separated thousands.
    pub(crate) fn number(self, number: i64) -> String {
        group_digits(number, self.catalog.thousands)
    }

    /// A size in bytes, in units that people use.
    pub(crate) fn size(self, bytes: i64) -> String {
        let (unit, divisor) = if bytes >= 1_000_000 { ("MB", 1_000_000) } else { ("kB", 1000) };
        let tenths = bytes.saturating_mul(10) / divisor;
        let decimal = if self.catalog.thousands == ',' { '.' } else { ',' };
        match tenths {
            0 => format!("1 {unit}"),
            1..100 => format!("{}{decimal}{} {unit}", tenths / 10, tenths % 10),
            _ => format!("{} {unit}", self.number(tenths / 10)),
        }
    }

    /// How long ago a time is: `38 min ago`, `yesterday`, `11 Mar 2025`.
    pub(crate) fn relative(self, time: Timestamp, now: Timestamp) -> String {
        moments::relative(self, time, now)
    }

    /// A time to the minute: `11 March 2025, 09:39`.
    pub(crate) fn exact(self, time: Timestamp) -> String {
        moments::exact(self, time)
    }

    /// A date: `11 March 2025`.
    pub(crate) fn date(self, time: Timestamp) -> String {
        moments::long_date(self, time)
    }

    /// A day: `today`, `11 March 2025`.
    pub(crate) fn day(self, time: Timestamp, now: Timestamp) -> String {
        moments::day(self, time, now)
    }

    /// A time of the day: `09:39`.
    pub(crate) fn clock(self, time: Timestamp) -> String {
        moments::clock(self, time)
    }

    /// A time as a field of a form holds it: `2026-03-12T09:50`.
    pub(crate) fn field_time(self, time: Timestamp) -> String {
        moments::field(self, time)
    }

    /// The time that a field of a form holds.
    pub(crate) fn read_time(self, text: &str) -> Option<Timestamp> {
        moments::parse_field(self, text)
    }

    /// Whether two times are on the same day.
    pub(crate) fn is_same_day(self, one: Timestamp, other: Timestamp) -> bool {
        moments::date(self, one) == moments::date(self, other)
    }

    /// The day of the month and the short name of the month: `11`, `Mar`.
    pub(crate) fn day_and_month(self, time: Timestamp) -> (String, String) {
        moments::day_and_month(self, time)
    }
}

fn format(catalog: &Catalog, key: &str, args: &[(&str, Arg<'_>)]) -> Option<String> {
    let pattern = catalog.bundle.get_message(key)?.value()?;
    let mut values = FluentArgs::with_capacity(args.len() + 1);
    for (name, arg) in args {
        match arg {
            Arg::Text(text) => values.set(*name, FluentValue::from(text.as_ref())),
            Arg::Number(number) => {
                values.set(*name, FluentValue::Number(FluentNumber::from(*number)));
                // As it is written, beside the number that chooses the plural form.
                values.set("shown", group_digits(*number, catalog.thousands));
            }
        }
    }
    Some(catalog.bundle.format_pattern(pattern, Some(&values), &mut Vec::new()).into_owned())
}

fn group_digits(number: i64, separator: char) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { String::from("-") } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// An argument that is written as it is.
pub(crate) fn shown(value: &impl Display) -> Arg<'static> {
    Arg::Text(Cow::Owned(value.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The keys of the messages in a catalogue.
    fn keys(source: &str) -> BTreeSet<&str> {
        let is_key = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" =");
        source.lines().filter(is_key).filter_map(|line| line.split(" =").next()).collect()
    }

    /// The variables of a message.
    fn variables<'a>(source: &'a str, key: &str) -> BTreeSet<&'a str> {
        let start = source.find(&format!("\n{key} =")).unwrap() + 1;
        let rest = &source[start..];
        let end = rest.match_indices('\n').find(|(at, _)| !rest[at + 1..].starts_with([' ', '}'])).map(|(at, _)| at);
        let message = &rest[..end.unwrap_or(rest.len())];
        let name = |part: &'a str| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
        message.split('$').skip(1).map(name).collect()
    }

    #[test]
    fn every_catalogue_can_be_read() {
        for (tag, _, _, source) in SOURCES {
            let errors = FluentResource::try_new(source.to_owned()).err().map(|(_, errors)| errors);
            assert!(errors.is_none(), "{tag}: {errors:?}");
            let all: Vec<&str> = source.lines().filter_map(|line| Some(line.split_once(" =")?.0)).collect();
            let message_keys = all.iter().filter(|key| key.starts_with(|c: char| c.is_ascii_lowercase()));
            assert_eq!(message_keys.count(), keys(source).len(), "{tag}: a key is used twice");
        }
    }

    #[test]
    fn all_catalogues_have_the_same_keys() {
        let complete = keys(SOURCES[0].3);
        assert!(complete.len() > 200);
        for (tag, _, _, source) in &SOURCES[1..] {
            let keys = keys(source);
            let missing: Vec<_> = complete.difference(&keys).collect();
            let unknown: Vec<_> = keys.difference(&complete).collect();
            assert!(missing.is_empty() && unknown.is_empty(), "{tag}: missing {missing:#?}, unknown {unknown:#?}");
        }
    }

    #[test]
    fn a_text_uses_the_same_variables_in_all_languages() {
        let (_, _, _, english) = SOURCES[0];
        for key in keys(english) {
            let expected: BTreeSet<_> = variables(english, key).into_iter().filter(|name| *name != "n").collect();
            for (tag, _, _, source) in &SOURCES[1..] {
                let found: BTreeSet<_> = variables(source, key).into_iter().filter(|name| *name != "n").collect();
                assert_eq!(found, expected, "{tag}: {key}");
            }
        }
    }

    #[test]
    fn numbers_and_sizes_are_written_as_the_language_does() {
        let (english, german) = (Locale::new("en", Tz::UTC), Locale::new("de", Tz::UTC));
        assert_eq!((english.number(15_381), german.number(15_381)), ("15,381".into(), "15.381".into()));
        assert_eq!((english.number(-999), english.number(1_000_000)), ("-999".into(), "1,000,000".into()));
        assert_eq!((english.size(84_000), english.size(1_840_000)), ("84 kB".into(), "1.8 MB".into()));
        assert_eq!((german.size(1_840_000), english.size(12)), ("1,8 MB".into(), "1 kB".into()));
    }

    #[test]
    fn an_unknown_language_is_english() {
        assert_eq!(Locale::new("xx", Tz::UTC).tag(), "en");
    }
}
