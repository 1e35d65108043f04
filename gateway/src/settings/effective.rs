//! The effective settings, without their secrets.

use config::ValueKind;

use super::{Settings, Sources, keys::values, load::merge};

/// URL parameters that do not contain secrets.
const PUBLIC_PARAMETERS: [&str; 9] =
    ["application_name", "host", "mode", "port", "region", "sslmode", "tls", "user", "dbname"];

/// The setting that is a list of keys.
const KEYS: &str = "encryption.keys";

impl Settings {
    /// The effective value of each key, with secrets masked.
    ///
    /// # Errors
    /// The settings cannot be loaded.
    pub fn effective(sources: &Sources) -> Result<Vec<(String, String)>, String> {
        Self::load(sources)?;
        let merged = merge(sources)?;
        let masked = |key: &str, value| if key == KEYS { mask_keys(value) } else { mask(&text(value)) };
        Ok(values(&merged).into_iter().map(|(key, value)| (key.clone(), masked(&key, value))).collect())
    }
}

/// The ids of keys, as a list or separated by commas.
fn mask_keys(value: &ValueKind) -> String {
    let items = match value {
        ValueKind::Array(items) => items.iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    };
    let keys = items.iter().flat_map(|item| item.split(',')).filter(|key| !key.trim().is_empty());
    let ids = keys.map(|key| format!("\"{}:…\"", key.split_once(':').map_or("", |(id, _)| id.trim())));
    format!("[{}]", ids.collect::<Vec<_>>().join(", "))
}

fn text(value: &ValueKind) -> String {
    match value {
        ValueKind::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| format!("{:?}", item.to_string())).collect();
            format!("[{}]", items.join(", "))
        }
        ValueKind::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// Masks the password of a URL and all parameters that are not known to be public.
fn mask(value: &str) -> String {
    if !value.contains("://") {
        return value.to_owned();
    }
    // The servers of a NATS cluster.
    if let Some(comma) = [",nats://", ",tls://"].iter().filter_map(|next| value.find(next)).min() {
        return format!("{},{}", mask(&value[..comma]), mask(&value[comma + 1..]));
    }
    let (address, query) = value.split_once('?').unwrap_or((value, ""));
    let quote = if query.ends_with('"') { "\"" } else { "" };
    let mut result = mask_login(address);
    for (index, parameter) in
        query.trim_end_matches('"').split('&').filter(|parameter| !parameter.is_empty()).enumerate()
    {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        let separator = if index == 0 { '?' } else { '&' };
        let masked = if PUBLIC_PARAMETERS.contains(&name) { parameter.to_owned() } else { format!("{name}=…") };
        result = format!("{result}{separator}{masked}");
    }
    format!("{result}{quote}")
}

fn mask_login(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let Some((login, host)) = rest.rsplit_once('@') else { return value.to_owned() };
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:…@{host}"),
        // NATS takes a login without a password for a token.
        None if scheme.ends_with("nats") || scheme.ends_with("tls") => format!("{scheme}://…@{host}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_19_url_parameters_that_may_be_secret_are_masked() {
        for (value, masked) in [
            (
                "\"s3://key:secret@s3.example.org/b?region=eu&q=SECRET\"",
                "\"s3://key:…@s3.example.org/b?region=eu&q=…\"",
            ),
            (
                "\"postgres://u@h/d?password=hunter2&sslmode=require\"",
                "\"postgres://u@h/d?password=…&sslmode=require\"",
            ),
            ("\"plain text?x=1\"", "\"plain text?x=1\""),
        ] {
            assert_eq!(mask(value), masked);
        }
    }

    #[test]
    fn of_encryption_keys_only_the_ids_are_shown() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let variables = [("GUILDHALL__ENCRYPTION__KEYS".to_owned(), format!("b:{key}, a:{key}"))].into();
        let effective = Settings::effective(&Sources { variables, ..Sources::default() }).unwrap();
        assert!(effective.contains(&("encryption.keys".to_owned(), "[\"b:…\", \"a:…\"]".to_owned())));
        assert!(!effective.iter().any(|(_, value)| value.contains("AAECAw")));
        let list = vec![config::Value::from(format!("b:{key}")), config::Value::from(key)];
        assert_eq!(mask_keys(&ValueKind::Array(list)), "[\"b:…\", \":…\"]");
    }

    #[test]
    fn secrets_are_masked() {
        assert_eq!(mask("\"postgres://guild:s3cr:et@db/x\""), "\"postgres://guild:…@db/x\"");
        assert_eq!(mask("\"sqlite://data/x.db\""), "\"sqlite://data/x.db\"");
        assert_eq!(mask("\"smtps://u:s3cret@mail.example.org\""), "\"smtps://u:…@mail.example.org\"");
        assert_eq!(mask("\"postgres://db/x?user=u&password=s3cret&a=b\""), "\"postgres://db/x?user=u&password=…&a=…\"");
        assert_eq!(mask("\"nats://s3cret@one,tls://u:s3cret@two:1\""), "\"nats://…@one,tls://u:…@two:1\"");
        assert_eq!(mask("\"s3://key:s%2Fcret@s3.example.org/x?tls=off\""), "\"s3://key:…@s3.example.org/x?tls=off\"");
    }
}
