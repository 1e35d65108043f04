//! Types of messages.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    id::MessageTypeId,
    model::{MessageType, MessageTypePatch, NewMessageType},
};

/// Types of messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MessageTypes: Send + Sync + 'static {
    /// The types of messages, in the order of their creation; the inactive ones only for staff.
    async fn message_types(&self, caller: &Caller) -> Result<Vec<MessageType>>;
    /// Creates a type. Only staff may.
    async fn create_message_type(&self, caller: &Caller, new: NewMessageType) -> Result<MessageType>;
    /// Changes a type. Only staff may.
    async fn change_message_type(
        &self,
        caller: &Caller,
        id: MessageTypeId,
        patch: MessageTypePatch,
    ) -> Result<MessageType>;
}
