//! The section `encryption`.

use std::{fmt, fs};

use guildhall_kernel::cipher::KeyRing;
use serde::Deserialize;

/// Encryption of direct messages at rest.
#[derive(Clone, Deserialize)]
pub struct Encryption {
    /// Whether what people write is encrypted.
    pub enabled: bool,
    /// The keys, as `id:key`; the first one encrypts.
    #[serde(deserialize_with = "super::list")]
    pub keys: Vec<String>,
    /// A file with the keys, one per line; empty if there is none.
    pub keys_file: String,
}

// Without the keys.
impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption")
            .field("enabled", &self.enabled)
            .field("keys_file", &self.keys_file)
            .finish_non_exhaustive()
    }
}

impl Encryption {
    /// The keys, read from the file if there is one.
    ///
    /// # Errors
    /// The keys are invalid or missing, or the file cannot be read. The text begins with the setting.
    pub fn key_ring(&self) -> Result<KeyRing, String> {
        if self.keys_file.is_empty() {
            return KeyRing::parse(&self.keys, self.enabled).map_err(|error| format!("encryption.keys: {error}"));
        }
        if !self.keys.is_empty() {
            return Err("encryption.keys must be empty if there is an encryption.keys_file".to_owned());
        }
        let path = &self.keys_file;
        let text =
            fs::read_to_string(path).map_err(|error| format!("encryption.keys_file: cannot read {path}: {error}"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        KeyRing::parse(lines, self.enabled).map_err(|error| format!("encryption.keys_file: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::load;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn ids(keys: &KeyRing) -> Vec<&str> {
        keys.ids().collect()
    }

    #[test]
    fn keys_come_from_the_settings_or_from_a_file() {
        let keys = format!("b:{KEY}, a:{KEY}");
        let from_settings =
            [("GUILDHALL__ENCRYPTION__KEYS", keys.as_str()), ("GUILDHALL__ENCRYPTION__ENABLED", "true")];
        let settings = load(&from_settings).unwrap();
        assert!(!format!("{settings:?}").contains("AAECAw"));
        let ring = settings.encryption.key_ring().unwrap();
        assert_eq!((ids(&ring), ring.current()), (vec!["b", "a"], Some("b")));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, format!("# the newest first\nc:{KEY}\n\n  a:{KEY}\n")).unwrap();
        let path = path.to_str().unwrap();
        let ring = load(&[("GUILDHALL__ENCRYPTION__KEYS_FILE", path)]).unwrap().encryption.key_ring().unwrap();
        assert_eq!((ids(&ring), ring.current()), (vec!["c", "a"], None));
        let both = [("GUILDHALL__ENCRYPTION__KEYS_FILE", path), from_settings[0]];
        assert!(load(&both).unwrap_err().starts_with("encryption.keys must be empty"));
    }

    #[test]
    fn invalid_keys_prevent_the_start_and_are_not_shown() {
        for (key, value, expected) in [
            ("GUILDHALL__ENCRYPTION__ENABLED", "true", "encryption.keys: there is no key to encrypt with"),
            ("GUILDHALL__ENCRYPTION__KEYS", KEY, "encryption.keys: key 1 must be"),
            ("GUILDHALL__ENCRYPTION__KEYS_FILE", "/does/not/exist", "encryption.keys_file: cannot read"),
        ] {
            let error = load(&[(key, value)]).unwrap_err();
            assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
            assert!(!error.contains("AAECAw"), "{error}");
        }
    }
}
