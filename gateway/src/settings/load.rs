//! Reads and merges the sources of the settings.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use config::{Config, Environment, File, FileFormat};

use super::{
    Settings,
    keys::{unknown_keys, wrong_types},
};

const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// The sources of settings besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `GUILDHALL_ENV`: the name of a file in `folder`.
    pub environment: Option<String>,
    /// The folder `config`.
    pub folder: PathBuf,
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// Settings from the command line: key and value.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The sources of this process, with its command-line flags.
    pub fn of_process(flags: Vec<(&'static str, String)>) -> Self {
        let variables: BTreeMap<_, _> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let environment = variables.get("GUILDHALL_ENV").filter(|name| !name.is_empty()).cloned();
        Self { environment, folder: "config".into(), variables, flags }
    }

    /// The file that `GUILDHALL_ENV` names, if it does not exist. That is allowed, as all settings can come from the
    /// environment, but it is also what a typo in the name looks like.
    pub fn missing_file(&self) -> Option<PathBuf> {
        let name = self.environment.as_ref()?;
        let file = self.folder.join(format!("{name}.toml"));
        (!file.exists()).then_some(file)
    }
}

impl Settings {
    /// Reads, merges and validates the settings.
    ///
    /// # Errors
    /// All errors, one per line: unknown keys with the nearest known key, invalid values with their key.
    pub fn load(sources: &Sources) -> Result<Self, String> {
        let merged = merge(sources)?;
        let unknown = unknown_keys(&merged, &defaults()?);
        if !unknown.is_empty() {
            return Err(unknown.join("\n"));
        }
        let settings: Self = merged.try_deserialize().map_err(|error| error.to_string().replace('\n', " "))?;
        let errors = settings.errors(sources.environment.as_deref());
        if errors.is_empty() { Ok(settings) } else { Err(errors.join("\n")) }
    }
}

fn defaults() -> Result<Config, String> {
    let file = File::from_str(DEFAULTS, FileFormat::Toml);
    Config::builder().add_source(file).build().map_err(|error| error.to_string())
}

/// Merges the defaults with the other sources. Later sources override earlier ones.
pub(super) fn merge(sources: &Sources) -> Result<Config, String> {
    let variables = Environment::with_prefix("GUILDHALL")
        .prefix_separator("__")
        .separator("__")
        .ignore_empty(true)
        .source(Some(sources.variables.clone().into_iter().collect()));
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(name) = &sources.environment
        && let Some(file) = environment_file(&sources.folder, name)?
    {
        builder = builder.add_source(file);
    }
    builder = builder.add_source(variables);
    for (key, value) in &sources.flags {
        builder = builder.set_override(key, value.as_str()).map_err(|error| error.to_string())?;
    }
    builder.build().map_err(|error| error.to_string())
}

/// Reads the file that `GUILDHALL_ENV` names; `None` if it does not exist. Values must have the types of the defaults,
/// because the library would accept a number for a boolean.
fn environment_file(folder: &Path, name: &str) -> Result<Option<Config>, String> {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(format!("GUILDHALL_ENV must be a plain word like production, but is {name:?}"));
    }
    let path = folder.join(format!("{name}.toml"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    if let Err(error) = text.parse::<toml::Table>() {
        let text_before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let (line, message) = (text_before.matches('\n').count() + 1, error.message().replace('\n', " "));
        return Err(format!("{}: line {line}: {message}", path.display()));
    }
    let file = Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build();
    let file = file.map_err(|error| error.to_string().replace('\n', " "))?;
    let errors = wrong_types(&file, &defaults()?, &path);
    if errors.is_empty() { Ok(Some(file)) } else { Err(errors.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::load;

    /// Loads the settings with `text` as the file `config/test.toml`.
    fn load_file(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("test.toml"), text).unwrap();
        let folder = folder.path().to_owned();
        Settings::load(&Sources { environment: Some("test".into()), folder, ..Sources::default() })
    }

    #[test]
    fn fault_t11_an_invalid_value_prevents_the_start_with_a_one_line_message() {
        for (text, expected) in [
            ("[limits]\nenabled = 7", "limits.enabled must be true or false"),
            ("[limits]\nenabled = \"yes\"", "limits.enabled must be true or false"),
            ("[server]\nrequest_seconds = 1.5", "server.request_seconds must be a whole number"),
            ("[server]\nrequest_seconds = true", "server.request_seconds must be a whole number"),
            ("[cors]\norigins = 3", "cors.origins must be a list"),
            ("data_dir = 5", "data_dir must be a string"),
            ("[limits]\nconnections = -1", "limits.connections"),
            ("[limits]\n\nenabled = = 7\n", "line 3"),
            ("[limits\nx", "line 1"),
        ] {
            let error = load_file(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{text:?}: {error:?}");
        }
        assert!(load_file("[limits]\nenabled = false").unwrap().limits.body_bytes > 0);
    }

    #[test]
    fn every_key_of_the_default_file_has_a_comment() {
        let mut previous = "";
        for line in DEFAULTS.lines() {
            if line.contains(" = ") && !line.starts_with('#') {
                assert!(previous.starts_with('#'), "{line}");
            }
            previous = line;
        }
    }

    #[test]
    fn the_environment_overrides_the_defaults_unless_empty() {
        let settings = load(&[
            ("GUILDHALL__SERVER__BIND", "0.0.0.0:9000"),
            ("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "60"),
            ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "32768"),
            ("GUILDHALL__LIMITS__ENABLED", "false"),
            ("GUILDHALL__CORS__ORIGINS", "https://a.example, http://localhost:3000"),
            ("GUILDHALL__DATABASE__URL", ""),
        ])
        .unwrap();
        assert_eq!(settings.server.bind, "0.0.0.0:9000");
        assert_eq!((settings.accounts.access_token_seconds, settings.accounts.hash.memory_kib), (60, 32_768));
        assert!(!settings.limits.enabled);
        assert_eq!(settings.cors.origins, ["https://a.example", "http://localhost:3000"]);
        assert!(settings.database.url.is_empty());
    }

    #[test]
    fn the_environment_file_overrides_defaults_and_flags_override_everything() {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config"));
        let environment = Some("production".to_owned());
        let flags = vec![("server.bind", "[::1]:1".to_owned())];
        let variables = BTreeMap::from([("GUILDHALL__SERVER__BIND".to_owned(), "[::1]:2".to_owned())]);
        let settings = Settings::load(&Sources { environment, folder, variables, flags }).unwrap();
        assert_eq!(settings.accounts.password_min_length, 15);
        assert_eq!(settings.server.bind, "[::1]:1", "flags override the environment");
    }
}
