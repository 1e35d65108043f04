//! The id of a file.

use guildhall_kernel::define_id;

define_id!(
    /// A file.
    FileId
);
