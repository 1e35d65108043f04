use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::mail::{DeliveryError, Mail, Mailer, with_ascii_domain};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp,
};
use tokio::time::timeout;

use crate::error::message_of;

/// The timeout of lettre, which covers connecting only.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// For the whole SMTP session.
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);

/// Sends emails through a mail server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why a mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMailServer {
    /// The server's URL is malformed. It is not shown: it contains a password.
    #[error("must be a URL like smtps://user:password@mail.example.org")]
    Server,
    /// The sender's address is malformed.
    #[error("must be a sender like \"Guild <guild@example.org>\"")]
    Sender,
}

impl SmtpMailer {
    /// Creates a mailer from the server's URL, `smtps://user:password@host:port`, and the sender of all emails. Must be
    /// called within a Tokio runtime, which manages idle connections.
    pub fn new(url: &str, from: &str) -> Result<Self, InvalidMailServer> {
        let from = from.parse().map_err(|_| InvalidMailServer::Sender)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| InvalidMailServer::Server)?;
        Ok(Self { transport: builder.timeout(Some(CONNECT_TIMEOUT)).build(), from })
    }

    fn message(&self, id: i64, mail: &Mail) -> Result<Message, DeliveryError> {
        let refused = |error: &dyn std::fmt::Display| DeliveryError::Permanent(error.to_string());
        let to: Mailbox = with_ascii_domain(&mail.to).parse().map_err(|error| refused(&error))?;
        // Derived from the outbox id, so that duplicate deliveries can be recognized.
        let message_id = format!("<outbox-{id}@{}>", self.from.email.domain());
        let mut builder = Message::builder();
        if let Some(url) = &mail.unsubscribe_url {
            builder = builder.header(ListUnsubscribe(url.clone())).header(ListUnsubscribePost);
        }
        let message = builder
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject.clone())
            .message_id(Some(message_id))
            // Suppresses automatic replies (RFC 3834 §5).
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

/// `List-Unsubscribe: <https://…>`.
#[derive(Clone)]
struct ListUnsubscribe(String);

impl lettre::message::header::Header for ListUnsubscribe {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.trim_matches(['<', '>']).to_owned()))
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), format!("<{}>", self.0))
    }
}

/// `List-Unsubscribe-Post: List-Unsubscribe=One-Click`.
#[derive(Clone)]
struct ListUnsubscribePost;

impl lettre::message::header::Header for ListUnsubscribePost {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("List-Unsubscribe-Post")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "List-Unsubscribe=One-Click".to_owned())
    }
}

fn timed_out() -> DeliveryError {
    DeliveryError::Transient("the mail server did not respond in time".to_owned())
}

fn delivery_error(error: &smtp::Error) -> DeliveryError {
    let message = message_of(error);
    // Reply codes 53x are authentication failures: the operator can fix the credentials, and the email can be sent.
    let permanent = error.is_permanent() && error.status().is_none_or(|code| u16::from(code) / 10 != 53);
    if permanent { DeliveryError::Permanent(message) } else { DeliveryError::Transient(message) }
}

#[async_trait]
impl Mailer for SmtpMailer {
    /// Several, so that an unresponsive server does not hold up the other emails.
    fn at_once(&self) -> usize {
        4
    }

    async fn send(&self, id: i64, mail: &Mail) -> Result<(), DeliveryError> {
        let message = self.message(id, mail)?;
        match timeout(SESSION_TIMEOUT, self.transport.send(message)).await {
            Ok(outcome) => outcome.map(|_| ()).map_err(|error| delivery_error(&error)),
            Err(_) => Err(timed_out()),
        }
    }

    async fn check(&self) -> Result<(), DeliveryError> {
        match timeout(CONNECT_TIMEOUT, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(error)) => Err(delivery_error(&error)),
            Ok(Ok(false)) | Err(_) => Err(timed_out()),
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
        let message = SmtpMailer::new("smtp3://u:hunter2@x", from).err().unwrap().to_string();
        assert!(!message.contains("hunter2"));
    }

    #[tokio::test]
    async fn fault_r24_a_domain_beyond_ascii_needs_no_smtputf8() {
        let mailer = SmtpMailer::new("smtp://127.0.0.1:25", "Guild <guild@example.org>").unwrap();
        let mail = |to: &str| Mail {
            to: to.into(),
            subject: "s".into(),
            text: "t".into(),
            html: "h".into(),
            unsubscribe_url: None,
        };
        let recipient = |to: &str| mailer.message(7, &mail(to)).unwrap().envelope().to()[0].to_string();
        assert_eq!(recipient("jurgen@müller.example"), "jurgen@xn--mller-kva.example");
        assert_eq!(recipient("jürgen@example.org"), "jürgen@example.org", "a local part beyond ASCII needs SMTPUTF8");
    }

    #[tokio::test]
    async fn emails_have_the_expected_headers() {
        let mailer = SmtpMailer::new("smtp://127.0.0.1:25", "Guild <guild@example.org>").unwrap();
        let mail = Mail {
            to: "anna@example.org".into(),
            subject: "Grüße\r\nBcc: evil@example.org".into(),
            text: "plain ü".into(),
            html: "<p>rich</p>".into(),
            unsubscribe_url: None,
        };
        let message = String::from_utf8(mailer.message(7, &mail).unwrap().formatted()).unwrap();
        assert!(message.contains("Message-ID: <outbox-7@example.org>"));
        assert!(message.contains("Auto-Submitted: auto-generated"));
        assert!(message.contains("multipart/alternative"));
        assert!(!message.lines().any(|line| line.starts_with("Bcc:")), "{message}");
        assert!(!message.contains("List-Unsubscribe"));
        let url =
            "https://example.org/unsubscribe/AAAAAAAAAAGL3Rl9h0cDnYX1u2m1o0yqJw7cKk3mT0c2zqk5bq1d9aZ3x8M/".to_owned();
        let list = mailer.message(7, &Mail { unsubscribe_url: Some(url.clone()), ..mail.clone() }).unwrap();
        let list = String::from_utf8(list.formatted()).unwrap().replace("\r\n ", " ");
        assert!(list.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{list}");
        assert!(list.contains(&format!("<{url}>")), "{list}");
        let invalid = Mail { to: "nobody".into(), ..mail };
        assert!(matches!(mailer.message(7, &invalid), Err(DeliveryError::Permanent(_))));
    }
}
