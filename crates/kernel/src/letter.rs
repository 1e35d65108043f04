//! How every letter of the service looks: as text and as HTML, with at most one thing to do.

use askama::Template;

use crate::{Error, PublicUrl, Result, mail::Mail};

/// In whose name letters are written.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// What people know the service as.
    pub service: String,
    /// Where it lives, and what every link begins with.
    pub home: PublicUrl,
}

/// What a letter says.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The address.
    pub to: String,
    /// How the reader is addressed; empty where that is not known.
    pub name: String,
    /// The subject, one line.
    pub subject: String,
    /// Its paragraphs.
    pub lines: Vec<String>,
    /// What the reader can do about it.
    pub action: Option<Action>,
}

/// What the reader of a letter can do, with a token that works once.
#[derive(Clone, Debug)]
pub struct Action {
    /// What it is called.
    pub label: &'static str,
    /// A link that does it.
    pub url: String,
    /// The token in the link, for programs.
    pub token: String,
    /// Until when it works, in words.
    pub until: String,
}

#[derive(Template)]
#[template(path = "letter.txt", escape = "none")]
struct Text<'a> {
    greeting: &'a str,
    lines: &'a [String],
    action: Option<&'a Action>,
    service: &'a str,
    home: &'a str,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a> {
    subject: &'a str,
    greeting: &'a str,
    lines: &'a [String],
    action: Option<&'a Action>,
    service: &'a str,
    home: &'a str,
}

impl Letterhead {
    /// Writes a letter out.
    pub fn write(&self, letter: Letter) -> Result<Mail> {
        let Letter { to, name, subject, lines, action } = letter;
        let greeting = if name.is_empty() { "Hello,".to_owned() } else { format!("Hello {name},") };
        let (home, action) = (self.home.to_string(), action.as_ref());
        let (service, home) = (self.service.as_str(), home.as_str());
        let text = Text { greeting: &greeting, lines: &lines, action, service, home };
        let html = Html { subject: &subject, greeting: &greeting, lines: &lines, action, service, home };
        let text = text.render().map_err(Error::internal)?;
        let html = html.render().map_err(Error::internal)?;
        Ok(Mail { to, subject, text, html })
    }
}
