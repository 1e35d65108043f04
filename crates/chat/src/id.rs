//! Ids.

use guildhall_kernel::define_id;

define_id!(
    /// A chat room.
    RoomId
);
define_id!(
    /// A message in a room.
    MessageId
);
define_id!(
    /// A request to join a room.
    RequestId
);
