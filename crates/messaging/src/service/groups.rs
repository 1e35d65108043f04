//! Groups and their members.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, UserId};

use crate::{
    error::Result,
    id::ConversationId,
    model::{Conversation, GroupPatch, Member, NewGroup, NewMembers},
};

/// Groups and their members.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Groups: Send + Sync + 'static {
    /// Creates a group that the caller owns.
    async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Conversation>;
    /// Renames a group, if `known` matches its current version. Only the owner may.
    async fn rename(
        &self,
        caller: &Caller,
        id: ConversationId,
        patch: GroupPatch,
        known: IfMatch,
    ) -> Result<Conversation>;
    /// The people of a conversation, in the order in which they joined.
    async fn members(&self, caller: &Caller, id: ConversationId) -> Result<Vec<Member>>;
    /// Adds people to a group. Only the owner may. Those who accept requests only have to accept.
    async fn add_members(&self, caller: &Caller, id: ConversationId, new: NewMembers) -> Result<Vec<Member>>;
    /// Removes a person from a group. Only the owner may.
    async fn remove_member(&self, caller: &Caller, id: ConversationId, user: UserId) -> Result<()>;
    /// Leaves a group. If the owner leaves, the longest-standing member owns it; without one, it is deleted.
    async fn leave(&self, caller: &Caller, id: ConversationId) -> Result<()>;
    /// Transfers the ownership of a group to another member.
    async fn transfer(&self, caller: &Caller, id: ConversationId, user: UserId) -> Result<Conversation>;
}
