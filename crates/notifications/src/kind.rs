//! Kinds of notifications, and the channels that they are delivered through.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of a notification.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    EnumIter,
    DeriveActiveEnum,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// Somebody mentioned the recipient.
    Mention,
    /// Somebody replied to a comment of the recipient.
    Reply,
    /// Somebody commented on a post of the recipient.
    Comment,
    /// Somebody reacted to a post of the recipient.
    Reaction,
    /// Somebody invited the recipient to a group.
    GroupInvite,
    /// Somebody asks to join a group that the recipient moderates.
    JoinRequest,
    /// The recipient's request to join a group was approved.
    RequestApproved,
    /// Somebody sent the recipient a message.
    DirectMessage,
    /// Somebody asks to join a room of the recipient.
    RoomRequest,
    /// The recipient's request to join a room was approved.
    RoomApproved,
    /// A deal was assigned to the recipient.
    DealAssigned,
    /// A payment for a deal of the recipient was recorded.
    PaymentRecorded,
    /// A payment that the recipient recorded was verified.
    PaymentVerified,
    /// A task of the recipient is due.
    TaskDue,
    /// A message of the service itself.
    System,
}

/// A way in which notifications reach their recipients.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    EnumIter,
    DeriveActiveEnum,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = NotificationChannel)]
pub enum Channel {
    /// The list of notifications, and sockets.
    Page,
    /// Email.
    Email,
    /// Web push.
    Push,
}

impl NotificationKind {
    /// Whether users get these notifications through a channel unless they choose otherwise.
    pub fn is_on_by_default(self, channel: Channel) -> bool {
        let is_frequent = matches!(
            self,
            Self::Comment | Self::Reaction | Self::RoomRequest | Self::RoomApproved | Self::PaymentRecorded
        );
        channel != Channel::Email || !is_frequent
    }

    /// Whether the same user can cause it again before it is read: a second comment notifies again, a changed reaction
    /// does not.
    pub(crate) fn notifies_again(self) -> bool {
        self != Self::Reaction
    }
}
