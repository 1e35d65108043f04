//! The letters that people get about their account. None can be unsubscribed from: they are about
//! its safety.

use guildhall_kernel::{
    self as kernel, Origin,
    letter::{Action, Letter as Written, Letterhead},
    mail::Mail,
};

use crate::one_time::Issued;

/// Writes letters in the name of the service.
pub(crate) struct Letters(pub(crate) Letterhead);

/// Whom a letter is for.
pub(crate) struct Reader<'a> {
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
}

struct Letter<'a> {
    subject: String,
    reader: Reader<'a>,
    lines: Vec<String>,
    action: Option<Action>,
}

const IGNORE: &str = "If that was not you, ignore this letter: nothing has changed.";
const ACT: &str = "If that was not you, ask for a new password at once, and tell whoever runs the service.";

impl Letters {
    /// To a new account's address: does mail to it arrive?
    pub(crate) fn verify_address(&self, reader: Reader<'_>, link: &Issued) -> kernel::Result<Mail> {
        let lines = vec![
            format!("Somebody has made the account {} with this address at {}.", reader.name, self.0.service),
            "Confirm that the address is yours; then you can also sign in with it, and get a new password by mail."
                .to_owned(),
            IGNORE.to_owned(),
        ];
        let action = Some(self.action("Confirm the address", "email/verify", link));
        self.write(Letter { subject: "Confirm your address".to_owned(), reader, lines, action })
    }

    /// To the owner of an address that somebody else has used for an account.
    pub(crate) fn address_known(&self, reader: Reader<'_>) -> kernel::Result<Mail> {
        let lines = vec![
            format!("Somebody has used your address for an account at {}. You have one already.", self.0.service),
            format!("Yours is called {}. If you have forgotten the password, ask for a new one.", reader.name),
            IGNORE.to_owned(),
        ];
        self.write(Letter { subject: "You have an account already".to_owned(), reader, lines, action: None })
    }

    /// To the new address of an account.
    pub(crate) fn confirm_new_address(&self, reader: Reader<'_>, link: &Issued) -> kernel::Result<Mail> {
        let lines = vec![
            format!("The account {} at {} is to have this address.", reader.name, self.0.service),
            IGNORE.to_owned(),
        ];
        let action = Some(self.action("Confirm the new address", "email/verify", link));
        self.write(Letter { subject: "Confirm your new address".to_owned(), reader, lines, action })
    }

    /// To the address that an account has, when somebody wants to change it.
    pub(crate) fn new_address_asked_for(&self, reader: Reader<'_>) -> kernel::Result<Mail> {
        let lines = vec![
            format!("Somebody who knows your password wants another address for your account at {}.", self.0.service),
            "Until the new address has been confirmed this one stays.".to_owned(),
            self.whence(),
            ACT.to_owned(),
        ];
        self.write(Letter { subject: "Another address was asked for".to_owned(), reader, lines, action: None })
    }

    /// To the address that an account had.
    pub(crate) fn address_changed(&self, reader: Reader<'_>) -> kernel::Result<Mail> {
        let lines = vec![
            format!("Your account at {} has another address now. Mail no longer goes to this one.", self.0.service),
            self.whence(),
            ACT.to_owned(),
        ];
        self.write(Letter { subject: "Your address was changed".to_owned(), reader, lines, action: None })
    }

    /// A link to choose a new password with.
    pub(crate) fn reset_password(&self, reader: Reader<'_>, link: &Issued) -> kernel::Result<Mail> {
        let lines = vec![
            format!("Somebody has asked for a new password for the account {} at {}.", reader.name, self.0.service),
            self.whence(),
            IGNORE.to_owned(),
        ];
        let action = Some(self.action("Choose a new password", "password/reset", link));
        self.write(Letter { subject: "Choose a new password".to_owned(), reader, lines, action })
    }

    /// To somebody for whom staff has made an account.
    pub(crate) fn invitation(&self, reader: Reader<'_>, link: &Issued) -> kernel::Result<Mail> {
        let lines = vec![
            format!("An account was made for you at {}. Its name is {}.", self.0.service, reader.name),
            "Choose a password, and you can sign in.".to_owned(),
        ];
        let action = Some(self.action("Choose a password", "password/reset", link));
        self.write(Letter { subject: format!("Your account at {}", self.0.service), reader, lines, action })
    }

    /// A notice that something about the account's safety has changed: `what` is a sentence.
    pub(crate) fn notice(&self, reader: Reader<'_>, subject: &str, what: &str) -> kernel::Result<Mail> {
        let lines = vec![what.to_owned(), self.whence(), ACT.to_owned()];
        self.write(Letter { subject: subject.to_owned(), reader, lines, action: None })
    }

    /// From where it was done, for the reader to recognise.
    fn whence(&self) -> String {
        let origin = Origin::current();
        match (origin.ip, origin.user_agent.as_deref().map(crate::model::device_label)) {
            (Some(ip), Some(device)) => format!("It was done from {ip}, on {device}."),
            (Some(ip), None) => format!("It was done from {ip}."),
            _ => format!("It was done by whoever runs {}.", self.0.service),
        }
    }

    fn action(&self, label: &'static str, page: &str, link: &Issued) -> Action {
        let url = self.0.home.join(&format!("/{page}/?token={}", link.token));
        Action { label, url, token: link.token.clone(), until: link.expires_at.for_people() }
    }

    fn write(&self, letter: Letter<'_>) -> kernel::Result<Mail> {
        let Letter { subject, reader, lines, action } = letter;
        let (to, name) = (reader.email.to_owned(), reader.name.to_owned());
        self.0.write(Written { to, name, subject, lines, action })
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Timestamp;

    use super::*;

    fn letters() -> Letters {
        Letters(Letterhead { service: "Tom & Co".to_owned(), home: "https://example.org".parse().unwrap() })
    }

    fn link() -> Issued {
        Issued { token: "abc-DEF".to_owned(), expires_at: Timestamp::EPOCH }
    }

    #[test]
    fn a_letter_says_the_same_as_text_and_as_html() {
        let reader = Reader { email: "anna@example.org", name: "anna" };
        let mail = letters().reset_password(reader, &link()).unwrap();
        assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("anna@example.org", "Choose a new password"));
        for part in [&mail.text, &mail.html] {
            assert!(part.contains("Hello anna,") && part.contains("1 January 1970, 00:00 UTC"), "{part}");
            assert!(part.contains("https://example.org/password/reset/?token=abc-DEF"), "{part}");
        }
        assert!(mail.text.contains("Tom & Co") && !mail.text.contains('<'));
    }

    #[test]
    fn what_people_typed_is_no_html() {
        let reader = Reader { email: "x@example.org", name: "<b>x</b>" };
        let mail = letters().notice(reader, "A <notice>", "Something & more").unwrap();
        assert!(!mail.html.contains("<b>") && !mail.html.contains("Tom & Co") && !mail.html.contains("<notice>"));
        assert!(mail.text.contains("Something & more"));
        assert!(!mail.text.contains("token"));
    }

    #[tokio::test]
    async fn a_letter_tells_from_where_it_was_done() {
        let reader = || Reader { email: "x@example.org", name: "x" };
        let here = Origin { ip: "203.0.113.9".parse().ok(), ..Origin::default() };
        let mail = here.scope(async { letters().notice(reader(), "s", "w").unwrap() }).await;
        assert!(mail.text.contains("It was done from 203.0.113.9."));
    }
}
