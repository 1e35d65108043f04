//! The events of this crate. They contain ids only: a subscriber asks for what it needs, and nothing personal is stored
//! twice.

use guildhall_kernel::{UserId, define_events};

/// The beginning of the aggregate of every event; the id of the user follows.
const USER: &str = "accounts/user/";

fn user(id: UserId) -> String {
    format!("{USER}{id}")
}

/// The user of an event, by its aggregate.
pub fn user_of(aggregate: &str) -> Option<UserId> {
    aggregate.strip_prefix(USER)?.parse().ok().map(UserId)
}

define_events! {
    /// An account was created: by registration, by staff or on the command line.
    UserRegistered("accounts.user_registered", |event| user(event.user)) {
        /// The user.
        user: UserId,
    }
    /// A user signed in from a network or a device that was not known.
    SignedInFromNewDevice("accounts.signed_in_from_new_device", |event| user(event.user)) {
        /// The user.
        user: UserId,
    }
    /// A password was changed or reset.
    PasswordChanged("accounts.password_changed", |event| user(event.user)) {
        /// The user.
        user: UserId,
    }
    /// Sessions or user tokens of a user have ended: by signing out, by revoking a user token, by staff, or because a
    /// token was used twice.
    SessionsEnded("accounts.sessions_ended", |event| user(event.user)) {
        /// The user.
        user: UserId,
    }
    /// The roles of a user were changed.
    RolesChanged("accounts.roles_changed", |event| user(event.user)) {
        /// The user.
        user: UserId,
    }
    /// An account was deactivated.
    UserDeactivated("accounts.user_deactivated", |event| user(event.user)) {
        /// The user.
        user: UserId,
    }
    /// An account was deleted, or its personal data erased.
    UserRemoved("accounts.user_removed", |event| user(event.user)) {
        /// The user.
        user: UserId,
        /// Whether the row was kept without personal data, since others reference it.
        is_erased: bool,
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::event::Event;

    use super::*;

    #[test]
    fn the_user_of_an_event_follows_from_its_aggregate() {
        let event = RolesChanged { user: UserId(7) };
        assert_eq!(user_of(&event.aggregate()), Some(UserId(7)));
        assert_eq!([user_of("deals/7/deal/1"), user_of("accounts/user/"), user_of("accounts/user/7/x")], [None; 3]);
    }
}
