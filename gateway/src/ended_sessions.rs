//! Closes the sockets of sessions that have ended.

use async_trait::async_trait;
use guildhall_accounts::event::{PasswordChanged, SessionsEnded, UserDeactivated, UserRemoved};
use guildhall_kernel::{
    Result, UserId,
    db::Tx,
    event::{Emitted, Event, Subscriber},
};
use guildhall_realtime::Streams;

/// Has the streams check the sockets of a user whose sessions or tokens have ended.
pub(crate) struct EndedSessions(pub(crate) Streams);

fn user_of(event: &Emitted) -> Result<Option<UserId>> {
    let ended = event.read::<SessionsEnded>()?.map(|event| event.user);
    let changed = event.read::<PasswordChanged>()?.map(|event| event.user);
    let deactivated = event.read::<UserDeactivated>()?.map(|event| event.user);
    let removed = event.read::<UserRemoved>()?.map(|event| event.user);
    Ok(ended.or(changed).or(deactivated).or(removed))
}

#[async_trait]
impl Subscriber for EndedSessions {
    fn name(&self) -> &'static str {
        "realtime.ended_sessions"
    }

    fn events(&self) -> Vec<&'static str> {
        vec![SessionsEnded::NAME, PasswordChanged::NAME, UserDeactivated::NAME, UserRemoved::NAME]
    }

    async fn handle(&self, tx: &Tx, event: &Emitted) -> Result<()> {
        let Some(user) = user_of(event)? else { return Ok(()) };
        let streams = self.0.clone();
        tx.after_commit(move || {
            tokio::spawn(async move {
                if let Err(error) = streams.close_ended(user).await {
                    tracing::error!(%error, "could not check the sessions of sockets");
                }
            });
        });
        Ok(())
    }
}
