//! Emails about notifications, each with a link that unsubscribes with one click.

use std::time::Duration;

use guildhall_kernel::{
    Error, UserId,
    db::Tx,
    mail::{EmailTemplate, Mail},
};

use super::message::Message;
use crate::{Digest, Result, core::Core};

/// How many notifications an email lists.
const MAX_LISTED: usize = 30;
/// Delivery of an email is given up after this time.
const LIFETIME: Duration = Duration::from_secs(3 * 24 * 3600);

/// Who gets an email.
pub(super) struct Recipient<'a> {
    pub(super) user: UserId,
    pub(super) name: &'a str,
    pub(super) address: &'a str,
}

/// Enqueues one email about all messages.
pub(super) async fn enqueue(
    core: &Core,
    tx: &Tx,
    recipient: &Recipient<'_>,
    digest: Digest,
    messages: &[&Message],
) -> Result<()> {
    let token = core.unsubscribe_key.token(recipient.user).ok_or_else(|| Error::internal("no unsubscribe token"))?;
    let unsubscribe_url = core.host.url.join(&format!("/unsubscribe/{token}/"));
    let home = core.host.branding.home.to_string();
    let template = compose(recipient, digest, messages, &home, &unsubscribe_url);
    let mail = Mail { unsubscribe_url: Some(unsubscribe_url), ..core.host.branding.write(template)? };
    core.host.outbox.enqueue_email(tx, Some(recipient.user), &mail, LIFETIME).await?;
    Ok(())
}

fn compose(
    recipient: &Recipient<'_>,
    digest: Digest,
    messages: &[&Message],
    home: &str,
    unsubscribe_url: &str,
) -> EmailTemplate {
    let subject = match (digest, messages) {
        (Digest::Off, [message]) => message.text.clone(),
        (Digest::Off, messages) => format!("You have {} new notifications", messages.len()),
        (Digest::Daily, messages) => format!("Your daily digest: {}", counted(messages.len())),
        (Digest::Weekly, messages) => format!("Your weekly digest: {}", counted(messages.len())),
    };
    let mut lines: Vec<String> = messages.iter().take(MAX_LISTED).map(|message| line(message)).collect();
    if messages.len() > MAX_LISTED {
        lines.push(format!("And {} more: {home}", messages.len() - MAX_LISTED));
    }
    lines.push(format!("You can choose which notifications you get by email. To get none of them: {unsubscribe_url}"));
    EmailTemplate { to: recipient.address.to_owned(), name: recipient.name.to_owned(), subject, lines, action: None }
}

fn counted(notifications: usize) -> String {
    if notifications == 1 { "1 notification".to_owned() } else { format!("{notifications} notifications") }
}

fn line(message: &Message) -> String {
    match &message.target {
        Some(target) => format!("{}: {}", message.text, target.url),
        None => message.text.clone(),
    }
}
