//! Closes the sockets of sessions that have ended, and updates the roles of the others.

use async_trait::async_trait;
use guildhall_accounts::event::{PasswordChanged, RolesChanged, SessionsEnded, UserDeactivated, UserRemoved, user_of};
use guildhall_kernel::{
    Result, UserId,
    db::Tx,
    event::{Emitted, Event, Subscriber},
};
use guildhall_realtime::Streams;

/// Has the streams check the sockets of a user whose sessions or tokens have ended, or whose roles have changed.
pub(crate) struct EndedSessions(pub(crate) Streams);

#[async_trait]
impl Subscriber for EndedSessions {
    fn name(&self) -> &'static str {
        "realtime.ended_sessions"
    }

    fn events(&self) -> Vec<&'static str> {
        vec![SessionsEnded::NAME, PasswordChanged::NAME, UserDeactivated::NAME, UserRemoved::NAME, RolesChanged::NAME]
    }

    /// At once in the process where it happens, so that an ended session does not stay connected while other events are
    /// handled.
    fn emitted(&self, tx: &Tx, aggregate: &str) {
        if let Some(user) = user_of(aggregate) {
            self.check_after_commit(tx, user);
        }
    }

    async fn handle(&self, tx: &Tx, event: &Emitted) -> Result<()> {
        if let Some(user) = user_of(&event.aggregate) {
            self.check_after_commit(tx, user);
        }
        Ok(())
    }
}

impl EndedSessions {
    fn check_after_commit(&self, tx: &Tx, user: UserId) {
        let streams = self.0.clone();
        tx.after_commit(move || {
            tokio::spawn(async move {
                if let Err(error) = streams.check_user(user).await {
                    tracing::error!(%error, "could not check the sockets of a user");
                }
            });
        });
    }
}
