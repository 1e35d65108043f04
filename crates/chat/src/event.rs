//! The events of this crate.

use guildhall_kernel::{UserId, define_events};

use crate::id::{MessageId, RequestId, RoomId};

fn room(id: RoomId) -> String {
    format!("chat/room/{id}")
}

define_events! {
    /// A room was opened.
    RoomOpened("chat.room_opened", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// Its host.
        host: UserId,
    }
    /// A room was closed.
    RoomClosed("chat.room_closed", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// Its host.
        host: Option<UserId>,
    }
    /// A room has another host.
    HostChanged("chat.host_changed", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// The host now.
        host: UserId,
    }
    /// Somebody asks to join a room.
    RoomRequested("chat.room_requested", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// The request.
        request: RequestId,
        /// Who asks.
        user: UserId,
    }
    /// A request to join a room was approved.
    RoomApproved("chat.room_approved", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// Who takes part now.
        user: UserId,
        /// Who has approved it.
        actor: UserId,
    }
    /// Somebody was invited to a room, and takes part at once.
    ParticipantInvited("chat.participant_invited", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// Who takes part now.
        user: UserId,
        /// Who has invited them.
        actor: UserId,
    }
    /// A participant was removed from a room.
    ParticipantRemoved("chat.participant_removed", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// Who was removed.
        user: UserId,
        /// Who has removed them.
        actor: UserId,
    }
    /// A participant has left a room.
    ParticipantLeft("chat.participant_left", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// Who has left.
        user: UserId,
    }
    /// A message was sent to a room.
    MessageSent("chat.message_sent", |event| room(event.room)) {
        /// The room.
        room: RoomId,
        /// The message.
        message: MessageId,
        /// The sender.
        sender: UserId,
    }
}
