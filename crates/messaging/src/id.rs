//! Ids.

use guildhall_kernel::define_id;

define_id!(
    /// A conversation.
    ConversationId
);
define_id!(
    /// A message.
    MessageId
);
define_id!(
    /// An attachment of a message.
    AttachmentId
);
define_id!(
    /// A type of messages.
    MessageTypeId
);
