//! Closes the sockets of sessions that have ended, and has the others take note of changed roles.

use async_trait::async_trait;
use guildhall_accounts::event::{PasswordChanged, RolesChanged, SessionsEnded, UserDeactivated, UserRemoved};
use guildhall_kernel::{
    Result, UserId,
    db::Tx,
    event::{Emitted, Event, Subscriber},
};
use guildhall_realtime::Streams;

/// Has the streams check the sockets of a user whose sessions or tokens have ended, or whose roles have changed.
pub(crate) struct EndedSessions(pub(crate) Streams);

fn user_of(event: &Emitted) -> Result<Option<UserId>> {
    let ended = event.read::<SessionsEnded>()?.map(|event| event.user);
    let changed = event.read::<PasswordChanged>()?.map(|event| event.user);
    let deactivated = event.read::<UserDeactivated>()?.map(|event| event.user);
    let removed = event.read::<UserRemoved>()?.map(|event| event.user);
    let other_roles = event.read::<RolesChanged>()?.map(|event| event.user);
    Ok(ended.or(changed).or(deactivated).or(removed).or(other_roles))
}

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
        if let Some(Ok(id)) = aggregate.strip_prefix("accounts/user/").map(str::parse) {
            self.check_after_commit(tx, UserId(id));
        }
    }

    async fn handle(&self, tx: &Tx, event: &Emitted) -> Result<()> {
        if let Some(user) = user_of(event)? {
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
