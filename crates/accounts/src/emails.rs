//! Emails about accounts. They concern account security, so users cannot unsubscribe from them.

use guildhall_kernel::{
    self as kernel, Origin,
    mail::{Action, EmailBranding, EmailTemplate, Mail},
};
use secrecy::ExposeSecret;

use crate::one_time::OneTimeToken;

/// Renders emails with the branding of the service.
pub(crate) struct Emails(pub(crate) EmailBranding);

/// The recipient of an email.
pub(crate) struct Recipient<'a> {
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
}

struct Content<'a> {
    subject: String,
    recipient: Recipient<'a>,
    lines: Vec<String>,
    action: Option<Action>,
}

const IGNORE_IF_NOT_YOU: &str = "If this was not you, you can ignore this email. Nothing has changed.";
const RESET_IF_NOT_YOU: &str =
    "If this was not you, reset your password immediately and contact the operator of the service.";

impl Emails {
    /// To the email address of a new account, to verify it.
    pub(crate) fn verify_email(&self, recipient: Recipient<'_>, link: &OneTimeToken) -> kernel::Result<Mail> {
        let lines = vec![
            format!("The account {} was created with this email address at {}.", recipient.name, self.0.service),
            "Confirm the address. You can then use it to sign in and to reset your password.".to_owned(),
            IGNORE_IF_NOT_YOU.to_owned(),
        ];
        let action = Some(self.action("Confirm email address", "email/verify", link));
        self.write(Content { subject: "Confirm your email address".to_owned(), recipient, lines, action })
    }

    /// To the owner of an email address that was used for another account.
    pub(crate) fn email_taken(&self, recipient: Recipient<'_>) -> kernel::Result<Mail> {
        let lines = vec![
            format!("Your email address was entered for another account at {}.", self.0.service),
            format!("You already have the account {}. If you forgot your password, reset it.", recipient.name),
            IGNORE_IF_NOT_YOU.to_owned(),
        ];
        self.write(Content { subject: "You already have an account".to_owned(), recipient, lines, action: None })
    }

    /// To the new email address of an account, to verify it.
    pub(crate) fn confirm_new_email(&self, recipient: Recipient<'_>, link: &OneTimeToken) -> kernel::Result<Mail> {
        let lines = vec![
            format!("This email address was entered for the account {} at {}.", recipient.name, self.0.service),
            IGNORE_IF_NOT_YOU.to_owned(),
        ];
        let action = Some(self.action("Confirm new email address", "email/verify", link));
        self.write(Content { subject: "Confirm your new email address".to_owned(), recipient, lines, action })
    }

    /// To the current email address of an account, when a change is requested.
    pub(crate) fn email_change_requested(&self, recipient: Recipient<'_>) -> kernel::Result<Mail> {
        let lines = vec![
            format!(
                "A change of the email address of your account at {} was requested with your password.",
                self.0.service
            ),
            "This address stays in use until the new one is confirmed.".to_owned(),
            self.origin_line(),
            RESET_IF_NOT_YOU.to_owned(),
        ];
        self.write(Content { subject: "Email address change requested".to_owned(), recipient, lines, action: None })
    }

    /// To the previous email address of an account.
    pub(crate) fn email_changed(&self, recipient: Recipient<'_>) -> kernel::Result<Mail> {
        let lines = vec![
            format!("The email address of your account at {} was changed.", self.0.service),
            "You no longer receive emails at this address.".to_owned(),
            self.origin_line(),
            RESET_IF_NOT_YOU.to_owned(),
        ];
        self.write(Content { subject: "Your email address was changed".to_owned(), recipient, lines, action: None })
    }

    /// A password reset link.
    pub(crate) fn reset_password(&self, recipient: Recipient<'_>, link: &OneTimeToken) -> kernel::Result<Mail> {
        let lines = vec![
            format!("A password reset was requested for the account {} at {}.", recipient.name, self.0.service),
            self.origin_line(),
            IGNORE_IF_NOT_YOU.to_owned(),
        ];
        let action = Some(self.action("Choose a new password", "password/reset", link));
        self.write(Content { subject: "Choose a new password".to_owned(), recipient, lines, action })
    }

    /// To a user whose account was created by staff.
    pub(crate) fn invitation(&self, recipient: Recipient<'_>, link: &OneTimeToken) -> kernel::Result<Mail> {
        let lines = vec![
            format!("An account was created for you at {}. Your username is {}.", self.0.service, recipient.name),
            "Choose a password to sign in.".to_owned(),
        ];
        let action = Some(self.action("Choose a password", "password/reset", link));
        self.write(Content { subject: format!("Your account at {}", self.0.service), recipient, lines, action })
    }

    /// A security alert; `message` is a sentence.
    pub(crate) fn alert(&self, recipient: Recipient<'_>, subject: &str, message: &str) -> kernel::Result<Mail> {
        let lines = vec![message.to_owned(), self.origin_line(), RESET_IF_NOT_YOU.to_owned()];
        self.write(Content { subject: subject.to_owned(), recipient, lines, action: None })
    }

    /// Where the request came from, so that the recipient can recognize it.
    fn origin_line(&self) -> String {
        let origin = Origin::current();
        match (origin.ip, origin.user_agent.as_deref().map(crate::model::device_label)) {
            (Some(ip), Some(device)) => format!("The request came from {ip} ({device})."),
            (Some(ip), None) => format!("The request came from {ip}."),
            _ => format!("The request came from the operator of {}.", self.0.service),
        }
    }

    fn action(&self, label: &'static str, page: &str, link: &OneTimeToken) -> Action {
        let token = link.token.expose_secret();
        let url = self.0.home.join(&format!("/{page}/?token={token}"));
        Action { label, url, token: token.to_owned(), until: link.expires_at.for_people() }
    }

    fn write(&self, content: Content<'_>) -> kernel::Result<Mail> {
        let Content { subject, recipient, lines, action } = content;
        let (to, name) = (recipient.email.to_owned(), recipient.name.to_owned());
        self.0.write(EmailTemplate { to, name, subject, lines, action })
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Timestamp;

    use super::*;

    fn emails() -> Emails {
        Emails(EmailBranding { service: "Tom & Co".to_owned(), home: "https://example.org".parse().unwrap() })
    }

    fn link() -> OneTimeToken {
        OneTimeToken { token: "abc-DEF".into(), expires_at: Timestamp::EPOCH }
    }

    #[test]
    fn text_and_html_have_the_same_content() {
        let recipient = Recipient { email: "anna@example.org", name: "anna" };
        let mail = emails().reset_password(recipient, &link()).unwrap();
        assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("anna@example.org", "Choose a new password"));
        for part in [&mail.text, &mail.html] {
            assert!(part.contains("Hello anna,") && part.contains("1 January 1970, 00:00 UTC"), "{part}");
            assert!(part.contains("https://example.org/password/reset/?token=abc-DEF"), "{part}");
        }
        assert!(mail.text.contains("Tom & Co") && !mail.text.contains('<'));
    }

    #[test]
    fn user_input_is_escaped_in_html() {
        let recipient = Recipient { email: "x@example.org", name: "<b>x</b>" };
        let mail = emails().alert(recipient, "An <alert>", "Something & more").unwrap();
        assert!(!mail.html.contains("<b>") && !mail.html.contains("Tom & Co") && !mail.html.contains("<alert>"));
        assert!(mail.text.contains("Something & more"));
        assert!(!mail.text.contains("token"));
    }

    #[tokio::test]
    async fn an_email_shows_where_the_request_came_from() {
        let recipient = || Recipient { email: "x@example.org", name: "x" };
        let origin = Origin { ip: "203.0.113.9".parse().ok(), ..Origin::default() };
        let mail = origin.scope(async { emails().alert(recipient(), "s", "w").unwrap() }).await;
        assert!(mail.text.contains("The request came from 203.0.113.9."));
    }
}
