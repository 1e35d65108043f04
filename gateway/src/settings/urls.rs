//! The addresses and paths that follow from the settings.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use guildhall_kernel::PublicUrl;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::Settings;

/// The characters that would end the path of a URL, and the escape character itself.
const SPECIAL_IN_PATH: &AsciiSet = &AsciiSet::EMPTY.add(b'%').add(b'?').add(b'#');

/// The URL of an SQLite database: `mode` is `rw`, or `rwc` to create a missing file.
pub(crate) fn sqlite_url(path: &Path, mode: &str) -> String {
    let path = path.display().to_string();
    format!("sqlite://{}?mode={mode}", utf8_percent_encode(&path, SPECIAL_IN_PATH))
}

impl Settings {
    /// The URL of the database.
    pub fn database_url(&self) -> String {
        if self.database.url.is_empty() {
            return sqlite_url(&self.data_dir.join("guildhall.db"), "rwc");
        }
        self.database.url.clone()
    }

    /// The folder of uploaded files, unless they are in an object store.
    pub fn files_folder(&self) -> Option<PathBuf> {
        self.files.url.is_empty().then(|| self.data_dir.join("files"))
    }

    /// Host and port of the mail server, without credentials.
    pub fn mail_host(&self) -> Option<&str> {
        let (_, rest) = self.mail.smtp_url.split_once("://")?;
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        rest.split(['/', '?']).next()
    }

    /// The public URL as far as the settings determine it, before the server listens.
    ///
    /// # Errors
    /// The settings do not form a valid URL.
    pub fn expected_url(&self) -> anyhow::Result<PublicUrl> {
        match self.server.bind.parse() {
            Ok(address) => self.public_url(address),
            Err(_) if self.server.public_url.is_empty() => Ok(format!("http://{}", self.server.bind).parse()?),
            Err(_) => Ok(self.server.public_url.parse()?),
        }
    }

    /// The public URL of a server that listens on `listening`.
    ///
    /// # Errors
    /// `server.public_url` is not a valid URL.
    pub fn public_url(&self, listening: SocketAddr) -> anyhow::Result<PublicUrl> {
        if !self.server.public_url.is_empty() {
            return Ok(self.server.public_url.parse()?);
        }
        let host = if listening.ip().is_unspecified() {
            format!("localhost:{}", listening.port())
        } else {
            listening.to_string()
        };
        Ok(format!("http://{host}").parse()?)
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::db::sqlite_file;

    use crate::settings::tests::load;

    #[test]
    fn the_data_folder_may_contain_any_characters() {
        let settings = load(&[("GUILDHALL__DATA_DIR", "100% dâta?#1")]).unwrap();
        assert_eq!(settings.database_url(), "sqlite://100%25 d%C3%A2ta%3F%231/guildhall.db?mode=rwc");
        assert_eq!(sqlite_file(&settings.database_url()), Some("100% dâta?#1/guildhall.db".into()));
    }

    #[test]
    fn the_mail_host_has_no_password() {
        let host = |url: &str| load(&[("GUILDHALL__MAIL__SMTP_URL", url)]).unwrap().mail_host().map(str::to_owned);
        assert_eq!(host(""), None);
        assert_eq!(host("smtps://u:p@ss@mail.example.org:465/x?tls=required").as_deref(), Some("mail.example.org:465"));
        assert_eq!(host("smtp://localhost:25").as_deref(), Some("localhost:25"));
    }

    #[test]
    fn the_public_url_defaults_to_the_listening_address() {
        let settings = load(&[]).unwrap();
        let url = |address: &str| settings.public_url(address.parse().unwrap()).unwrap().to_string();
        assert_eq!(url("127.0.0.1:8000"), "http://127.0.0.1:8000");
        assert_eq!(url("0.0.0.0:8000"), "http://localhost:8000");
        assert_eq!(url("[::1]:80"), "http://[::1]:80");
    }
}
