use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::mail::{Mail, Mailer, Undelivered, with_ascii_domain};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp,
};
use tokio::time::timeout;

/// How long a server may take to take a connection. (All that lettre's own limit is about.)
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take for the whole conversation.
const LONGEST_CONVERSATION: Duration = Duration::from_secs(45);

/// Hands letters to a mail server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why a mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMailServer {
    /// The address of the server. Not shown: it holds a password.
    #[error("is no address like smtps://user:password@mail.example.org")]
    Server,
    /// The sender's address.
    #[error("is no sender like \"Guild <guild@example.org>\"")]
    Sender,
}

impl SmtpMailer {
    /// A server, as `smtps://user:password@host:port`, and the sender of all letters. To be called within
    /// a Tokio runtime, which looks after idle connections.
    pub fn new(url: &str, from: &str) -> Result<Self, InvalidMailServer> {
        let from = from.parse().map_err(|_| InvalidMailServer::Sender)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| InvalidMailServer::Server)?;
        Ok(Self { transport: builder.timeout(Some(PATIENCE)).build(), from })
    }

    fn message(&self, id: i64, mail: &Mail) -> Result<Message, Undelivered> {
        let refused = |error: &dyn std::fmt::Display| Undelivered::ForGood(error.to_string());
        let to: Mailbox = with_ascii_domain(&mail.to).parse().map_err(|error| refused(&error))?;
        // The same letter has the same id, so that one that is handed over twice can be told.
        let message_id = format!("<outbox-{id}@{}>", self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject.clone())
            .message_id(Some(message_id))
            // Nobody's holiday note is to answer (RFC 3834 §5).
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()));
        message.map_err(|error| refused(&error))
    }
}

/// `Auto-Submitted: auto-generated`.
#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn silent() -> Undelivered {
    Undelivered::ForNow("the server does not answer".to_owned())
}

fn undelivered(error: &smtp::Error) -> Undelivered {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        let text = next.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = next.source();
    }
    // A refusal of the sign-in is the operator's to mend, and then the letter can go.
    let of_letter = error.is_permanent() && error.status().is_none_or(|code| u16::from(code) / 10 != 53);
    if of_letter { Undelivered::ForGood(told) } else { Undelivered::ForNow(told) }
}

#[async_trait]
impl Mailer for SmtpMailer {
    /// One that waits for a silent server does not hold up the rest.
    fn at_once(&self) -> usize {
        4
    }

    async fn send(&self, id: i64, mail: &Mail) -> Result<(), Undelivered> {
        let message = self.message(id, mail)?;
        match timeout(LONGEST_CONVERSATION, self.transport.send(message)).await {
            Ok(outcome) => outcome.map(|_| ()).map_err(|error| undelivered(&error)),
            Err(_) => Err(silent()),
        }
    }

    async fn check(&self) -> Result<(), Undelivered> {
        match timeout(PATIENCE, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(error)) => Err(undelivered(&error)),
            Ok(Ok(false)) | Err(_) => Err(silent()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn servers_and_senders_are_checked() {
        let from = "Guild <guild@example.org>";
        for url in ["smtps://u:p@mail.example.org", "smtp://127.0.0.1:25", "smtp://mail.example.org?tls=required"] {
            assert!(SmtpMailer::new(url, from).is_ok(), "{url}");
        }
        for (url, from) in [("", from), ("mail.example.org", from), ("http://x", from), ("smtp://x", "nobody")] {
            assert!(SmtpMailer::new(url, from).is_err(), "{url} {from}");
        }
        let told = SmtpMailer::new("smtp3://u:hunter2@x", from).err().unwrap().to_string();
        assert!(!told.contains("hunter2"));
    }

    #[tokio::test]
    async fn fault_r24_a_domain_beyond_ascii_needs_no_smtputf8() {
        let mailer = SmtpMailer::new("smtp://127.0.0.1:25", "Guild <guild@example.org>").unwrap();
        let mail = |to: &str| Mail { to: to.into(), subject: "s".into(), text: "t".into(), html: "h".into() };
        let recipient = |to: &str| mailer.message(7, &mail(to)).unwrap().envelope().to()[0].to_string();
        assert_eq!(recipient("jurgen@müller.example"), "jurgen@xn--mller-kva.example");
        assert_eq!(recipient("jürgen@example.org"), "jürgen@example.org", "that one needs it");
    }

    #[tokio::test]
    async fn a_letter_is_written_as_mail_programs_expect() {
        let mailer = SmtpMailer::new("smtp://127.0.0.1:25", "Guild <guild@example.org>").unwrap();
        let mail = Mail {
            to: "anna@example.org".into(),
            subject: "Grüße\r\nBcc: evil@example.org".into(),
            text: "plain ü".into(),
            html: "<p>rich</p>".into(),
        };
        let written = String::from_utf8(mailer.message(7, &mail).unwrap().formatted()).unwrap();
        assert!(written.contains("Message-ID: <outbox-7@example.org>"));
        assert!(written.contains("Auto-Submitted: auto-generated"));
        assert!(written.contains("multipart/alternative"));
        assert!(!written.lines().any(|line| line.starts_with("Bcc:")), "{written}");
        assert!(!written.contains("List-Unsubscribe"));
        let nowhere = Mail { to: "nobody".into(), ..mail };
        assert!(matches!(mailer.message(7, &nowhere), Err(Undelivered::ForGood(_))));
    }
}
