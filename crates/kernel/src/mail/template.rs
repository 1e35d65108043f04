//! The layout that all emails share, as text and as HTML, with at most one action.

use askama::Template;

use super::Mail;
use crate::{Error, PublicUrl, Result};

/// The service name and URL that appear in emails.
#[derive(Clone, Debug)]
pub struct EmailBranding {
    /// The name of the service.
    pub service: String,
    /// The base of every link.
    pub home: PublicUrl,
}

/// The content of an email.
#[derive(Clone, Debug)]
pub struct EmailTemplate {
    /// The recipient's address.
    pub to: String,
    /// The recipient's name; empty if unknown.
    pub name: String,
    /// The subject, one line.
    pub subject: String,
    /// Its paragraphs.
    pub lines: Vec<String>,
    /// The button, if there is one.
    pub action: Option<Action>,
}

/// A button in an email whose link holds a one-time token.
#[derive(Clone, Debug)]
pub struct Action {
    /// The label of the button.
    pub label: &'static str,
    /// The link.
    pub url: String,
    /// The token in the link, for API clients.
    pub token: String,
    /// When the token expires, as text.
    pub until: String,
}

#[derive(Template)]
#[template(path = "email.txt", escape = "none")]
struct Text<'a> {
    greeting: &'a str,
    lines: &'a [String],
    action: Option<&'a Action>,
    service: &'a str,
    home: &'a str,
}

#[derive(Template)]
#[template(path = "email.html")]
struct Html<'a> {
    subject: &'a str,
    greeting: &'a str,
    lines: &'a [String],
    action: Option<&'a Action>,
    service: &'a str,
    home: &'a str,
}

impl EmailBranding {
    /// Renders an email.
    pub fn write(&self, template: EmailTemplate) -> Result<Mail> {
        let EmailTemplate { to, name, subject, lines, action } = template;
        let greeting = if name.is_empty() { "Hello,".to_owned() } else { format!("Hello {name},") };
        let (home, action) = (self.home.to_string(), action.as_ref());
        let (service, home) = (self.service.as_str(), home.as_str());
        let text = Text { greeting: &greeting, lines: &lines, action, service, home };
        let html = Html { subject: &subject, greeting: &greeting, lines: &lines, action, service, home };
        let text = text.render().map_err(Error::internal)?;
        let html = html.render().map_err(Error::internal)?;
        Ok(Mail { to, subject, text, html, unsubscribe_url: None })
    }
}
