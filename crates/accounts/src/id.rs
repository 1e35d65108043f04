//! Ids.

pub use guildhall_kernel::UserTokenId;
