//! The texts of notifications.

use std::fmt;

use guildhall_kernel::Person;

use crate::NotificationKind;

/// The text of a notification.
pub(crate) struct Sentence<'a> {
    pub(crate) kind: NotificationKind,
    /// The name of the latest actor; `None` if there is none, or the account was deleted.
    pub(crate) actor: Option<&'a str>,
    /// The number of different actors.
    pub(crate) actor_count: i64,
    /// How often it has happened.
    pub(crate) event_count: i64,
    /// What it is about.
    pub(crate) subject: &'a str,
}

impl<'a> Sentence<'a> {
    /// The text of a notification with one actor that has happened once.
    pub(crate) fn single(kind: NotificationKind, subject: &'a str, actor: Option<&'a Person>) -> Self {
        let actor = actor.map(|actor| actor.display_name.as_str());
        Self { kind, actor, actor_count: 1, event_count: 1, subject }
    }
}

/// `Anna`, `Anna and 1 other`, `Anna and 4 others`.
struct Who<'a>(&'a Sentence<'a>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.actor.unwrap_or("Somebody"))?;
        match self.0.actor_count - 1 {
            ..=0 => Ok(()),
            1 => f.write_str(" and 1 other"),
            others => write!(f, " and {others} others"),
        }
    }
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, subject, count) = (Who(self), self.subject, self.event_count);
        match self.kind {
            NotificationKind::Mention => write!(f, "{who} mentioned you in {subject}"),
            NotificationKind::Reply => write!(f, "{who} replied to {subject}"),
            NotificationKind::Comment => write!(f, "{who} commented on {subject}"),
            NotificationKind::Reaction => write!(f, "{who} reacted to {subject}"),
            NotificationKind::GroupInvite => write!(f, "{who} invited you to {subject}"),
            NotificationKind::JoinRequest | NotificationKind::RoomRequest => {
                write!(f, "{who} asked to join {subject}")
            }
            NotificationKind::RequestApproved | NotificationKind::RoomApproved => {
                write!(f, "Your request to join {subject} was approved")
            }
            NotificationKind::DirectMessage if count > 1 => write!(f, "{who} sent you {count} messages"),
            NotificationKind::DirectMessage => write!(f, "{who} sent you a message"),
            NotificationKind::DealAssigned => write!(f, "{who} assigned {subject} to you"),
            NotificationKind::PaymentRecorded => write!(f, "{who} recorded a payment for {subject}"),
            NotificationKind::PaymentVerified => write!(f, "{who} verified a payment for {subject}"),
            NotificationKind::TaskDue => write!(f, "Your {subject} is due"),
            NotificationKind::System => f.write_str(subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;

    fn text(kind: NotificationKind, actor: Option<&str>, actor_count: i64, event_count: i64) -> String {
        Sentence { kind, actor, actor_count, event_count, subject: "your post" }.to_string()
    }

    #[test]
    fn the_other_actors_are_counted() {
        for (count, expected) in [
            (1, "Anna reacted to your post"),
            (2, "Anna and 1 other reacted to your post"),
            (5, "Anna and 4 others reacted to your post"),
        ] {
            assert_eq!(text(NotificationKind::Reaction, Some("Anna"), count, count), expected);
        }
        assert_eq!(text(NotificationKind::Comment, None, 0, 1), "Somebody commented on your post");
    }

    #[test]
    fn messages_of_one_person_are_counted() {
        assert_eq!(text(NotificationKind::DirectMessage, Some("Anna"), 1, 1), "Anna sent you a message");
        assert_eq!(text(NotificationKind::DirectMessage, Some("Anna"), 1, 3), "Anna sent you 3 messages");
    }

    #[test]
    fn every_kind_has_a_text_of_one_line() {
        for kind in NotificationKind::iter() {
            let text = text(kind, Some("Anna"), 1, 1);
            assert!(!text.is_empty() && !text.contains(['\n', '{']), "{kind:?}: {text}");
        }
    }
}
