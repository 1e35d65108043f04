//! Validates the settings.

use guildhall_kernel::{PublicUrl, TrustedProxies};
use guildhall_platform::NatsBus;
use tracing_subscriber::EnvFilter;

use super::Settings;

const PRODUCTION: &str = "production";

impl Settings {
    /// All errors, each with its key.
    pub(super) fn errors(&self, environment: Option<&str>) -> Vec<String> {
        let mut errors = Vec::new();
        if !self.limits.enabled && environment == Some(PRODUCTION) {
            errors.push("limits.enabled must not be false with GUILDHALL_ENV=production".to_owned());
        }
        for (key, value) in [
            ("limits.body_bytes", self.limits.body_bytes),
            ("limits.upload_bytes", self.limits.upload_bytes),
            ("limits.writes_per_minute", self.limits.writes_per_minute as usize),
            ("limits.requests_at_once", self.limits.requests_at_once),
            ("limits.connections", self.limits.connections),
            ("limits.connections_per_network", self.limits.connections_per_network),
            ("limits.idle_seconds", self.limits.idle_seconds as usize),
            ("database.statement_seconds", self.database.statement_seconds as usize),
            ("server.request_seconds", self.server.request_seconds as usize),
        ] {
            if value == 0 {
                errors.push(format!("{key} must be at least 1"));
            }
        }
        if self.limits.free_disk_percent > 100 {
            errors.push("limits.free_disk_percent must be at most 100".to_owned());
        }
        if self.chat.host_grace_seconds > 86_400 {
            errors.push("chat.host_grace_seconds must be at most 86400".to_owned());
        }
        for (key, address) in [("server.bind", &self.server.bind), ("metrics.bind", &self.metrics.bind)] {
            let optional = key == "metrics.bind" && address.is_empty();
            if !optional
                && address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
            {
                errors.push(format!("{key} must be an address and port like 127.0.0.1:8000, but is {address:?}"));
            }
        }
        if !self.server.public_url.is_empty()
            && let Err(error) = self.server.public_url.parse::<PublicUrl>()
        {
            errors.push(format!("server.public_url {error}"));
        }
        if let Err(error) = TrustedProxies::parse(&self.server.trusted_proxies) {
            errors.push(format!("server.trusted_proxies: {error}"));
        }
        if self.server.name.trim().is_empty() || self.server.name.chars().any(char::is_control) {
            errors.push("server.name must not be empty or contain control characters".to_owned());
        }
        let smtp = ["smtp://", "smtps://"];
        if !self.mail.smtp_url.is_empty() && !smtp.iter().any(|scheme| self.mail.smtp_url.starts_with(scheme)) {
            errors.push("mail.smtp_url must begin with smtp:// or smtps://".to_owned());
        }
        if !self.files.url.is_empty() && !self.files.url.starts_with("s3://") {
            errors.push("files.url must begin with s3://".to_owned());
        }
        if !self.nats.url.is_empty()
            && let Err(error) = NatsBus::new(&self.nats.url, String::new())
        {
            errors.push(format!("nats.url {error}"));
        }
        let schemes = ["sqlite:", "postgres://", "postgresql://"];
        if !self.database.url.is_empty() && !schemes.iter().any(|scheme| self.database.url.starts_with(scheme)) {
            errors.push("database.url must begin with sqlite:// or postgres://".to_owned());
        }
        for origin in &self.cors.origins {
            let parsed = origin.parse::<PublicUrl>();
            if parsed.is_err() || origin.matches('/').count() != 2 {
                errors.push(format!("cors.origins: {origin:?} is not an origin like https://example.org"));
            }
        }
        if let Err(error) = self.log.filter.parse::<EnvFilter>() {
            errors.push(format!("log.filter: {error}"));
        }
        errors.extend(self.encryption.key_ring().err());
        errors.extend(self.accounts.errors());
        errors
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::{Sources, tests::load};

    #[test]
    fn the_error_for_an_invalid_value_names_its_key() {
        for (key, value, expected) in [
            ("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "soon", "accounts.access_token_seconds"),
            ("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "0", "accounts.access_token_seconds"),
            ("GUILDHALL__ACCOUNTS__PASSWORD_MIN_LENGTH", "4", "accounts.password_min_length"),
            ("GUILDHALL__ACCOUNTS__USER_TOKEN_DAYS", "4000000000", "accounts.user_token_days"),
            ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "1", "accounts.hash"),
            ("GUILDHALL__SERVER__BIND", "8000", "server.bind"),
            ("GUILDHALL__SERVER__PUBLIC_URL", "example.org", "server.public_url"),
            ("GUILDHALL__DATABASE__URL", "mysql://x/y", "database.url"),
            ("GUILDHALL__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, proxy", "server.trusted_proxies"),
            ("GUILDHALL__SERVER__NAME", " ", "server.name"),
            ("GUILDHALL__MAIL__SMTP_URL", "mail.example.org", "mail.smtp_url"),
            ("GUILDHALL__ACCOUNTS__LINK_BASE", "example.org", "accounts.link_base"),
            ("GUILDHALL__LIMITS__BODY_BYTES", "0", "limits.body_bytes"),
            ("GUILDHALL__LIMITS__UPLOAD_BYTES", "0", "limits.upload_bytes"),
            ("GUILDHALL__CHAT__HOST_GRACE_SECONDS", "86401", "chat.host_grace_seconds"),
            ("GUILDHALL__NATS__URL", "http://nats.example.org", "nats.url"),
            ("GUILDHALL__FILES__URL", "https://s3.example.org/bucket", "files.url"),
            ("GUILDHALL__CORS__ORIGINS", "*", "cors.origins"),
            ("GUILDHALL__CORS__ORIGINS", "https://a.example/path", "cors.origins"),
            ("GUILDHALL__LOG__FILTER", "=[", "log.filter"),
            ("GUILDHALL__LOG__FORMAT", "xml", "log.format"),
        ] {
            let error = load(&[(key, value)]).unwrap_err();
            assert!(error.contains(expected) && error.lines().count() == 1, "{key}={value}: {error}");
        }
        let both = load(&[("GUILDHALL__SERVER__BIND", "x"), ("GUILDHALL__LIMITS__BODY_BYTES", "0")]).unwrap_err();
        assert_eq!(both.lines().count(), 2, "all errors are reported");
    }

    #[test]
    fn limits_cannot_be_disabled_in_production() {
        let variables = BTreeMap::from([("GUILDHALL__LIMITS__ENABLED".to_owned(), "false".to_owned())]);
        let environment = Some("production".to_owned());
        let sources = Sources { environment, variables, ..Sources::default() };
        assert!(Settings::load(&sources).unwrap_err().contains("limits.enabled"));
        let outside = Sources { environment: Some("../etc/passwd".to_owned()), ..Sources::default() };
        assert!(Settings::load(&outside).unwrap_err().contains("GUILDHALL_ENV"));
    }
}
