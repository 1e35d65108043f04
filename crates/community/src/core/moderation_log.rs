//! Entries of the moderation log.

use guildhall_kernel::{
    UserId,
    db::{self, Tx},
};
use sea_orm::{ActiveValue::NotSet, DbErr, Set};

use super::Core;
use crate::{entity::moderation, id::GroupId};

/// An entry for the moderation log.
pub(crate) struct ModerationEntry<'a> {
    pub(crate) group: Option<GroupId>,
    pub(crate) actor: UserId,
    /// The action: a word in the past tense.
    pub(crate) action: &'static str,
    /// The user it was done to, or the author of the target.
    pub(crate) subject: Option<UserId>,
    /// The target, such as `post 5`.
    pub(crate) target: String,
    /// The reason, or an excerpt.
    pub(crate) detail: &'a str,
}

impl Core {
    /// Writes an entry to the moderation log, in the transaction of the action.
    pub(crate) async fn log_moderation(&self, tx: &Tx, entry: ModerationEntry<'_>) -> Result<(), DbErr> {
        let row = moderation::ActiveModel {
            id: NotSet,
            group_id: Set(entry.group),
            actor_id: Set(Some(entry.actor)),
            action: Set(entry.action.to_owned()),
            subject_id: Set(entry.subject),
            target: Set(entry.target),
            detail: Set(entry.detail.to_owned()),
            at: Set(self.now()),
        };
        db::insert_only(&tx.deferred(), row).await
    }
}
