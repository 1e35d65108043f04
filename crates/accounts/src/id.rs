//! Ids.

use guildhall_kernel::define_id;

define_id!(
    /// A user token.
    UserTokenId
);
