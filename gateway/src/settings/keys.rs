//! The keys of the settings, and errors in them.
//!
//! Not with `serde_ignored`, which finds only the unknown keys before the first value of a wrong type, in the random
//! order of the tables of `config`, and only the name of an unknown section.

use std::{collections::BTreeMap, path::Path};

use config::{Config, Value, ValueKind};

/// The values by their keys, such as `server.bind`.
pub(super) fn values(config: &Config) -> BTreeMap<String, &ValueKind> {
    fn walk<'a>(prefix: &str, value: &'a Value, into: &mut BTreeMap<String, &'a ValueKind>) {
        let ValueKind::Table(table) = &value.kind else {
            into.insert(prefix.to_owned(), &value.kind);
            return;
        };
        for (key, value) in table {
            let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            walk(&key, value, into);
        }
    }
    let mut values = BTreeMap::new();
    walk("", &config.cache, &mut values);
    values
}

/// An error for each key that the defaults do not have.
pub(super) fn unknown_keys(config: &Config, defaults: &Config) -> Vec<String> {
    let known = values(defaults);
    values(config).keys().filter(|key| !known.contains_key(*key)).map(|key| unknown(key, known.keys())).collect()
}

fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> String {
    let similarity = |known: &str| strsim::jaro_winkler(key, known);
    match known.max_by(|one, other| similarity(one).total_cmp(&similarity(other))) {
        Some(nearest) => format!("unknown setting {key}; did you mean {nearest}?"),
        None => format!("unknown setting {key}"),
    }
}

/// An error for each value of another type than its default. `path` is the file of the values.
pub(super) fn wrong_types(config: &Config, defaults: &Config, path: &Path) -> Vec<String> {
    let defaults = values(defaults);
    let mut errors = Vec::new();
    for (key, value) in values(config) {
        let Some(default) = defaults.get(&key) else { continue };
        let (actual, expected) = (type_name(value), type_name(default));
        if actual != expected {
            errors.push(format!("{key} must be {expected}, but is {actual} in {}", path.display()));
        }
    }
    errors
}

fn type_name(value: &ValueKind) -> &'static str {
    match value {
        ValueKind::Boolean(_) => "true or false",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "a whole number",
        ValueKind::Float(_) => "a decimal number",
        ValueKind::String(_) => "a string",
        ValueKind::Array(_) => "a list",
        ValueKind::Table(_) => "a section",
        ValueKind::Nil => "null",
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::load;

    #[test]
    fn the_error_for_an_unknown_key_names_the_nearest_one() {
        let error = load(&[("GUILDHALL__SERVER__BNID", "x")]).unwrap_err();
        assert_eq!(error, "unknown setting server.bnid; did you mean server.bind?");
    }

    #[test]
    fn all_unknown_keys_are_reported_also_beside_invalid_values() {
        let error = load(&[
            ("GUILDHALL__LIMIT__ENABLED", "true"),
            ("GUILDHALL__LIMITS__BODY_BYTES", "many"),
            ("GUILDHALL__SERVER__BNID", "x"),
        ]);
        let expected = "unknown setting limit.enabled; did you mean limits.enabled?\n\
                        unknown setting server.bnid; did you mean server.bind?";
        assert_eq!(error.unwrap_err(), expected);
    }
}
