//! Limits for uploads.

use std::path::PathBuf;

use guildhall_kernel::Quota;

/// Limits for uploads.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// The largest file, in bytes.
    pub bytes: usize,
    /// How many bytes one user may upload.
    pub quota: Quota,
    /// The disk space that uploads leave free.
    pub reserve: Option<Reserve>,
}

impl UploadLimits {
    /// A limit on the file size only.
    pub const fn up_to(bytes: usize) -> Self {
        Self { bytes, quota: Quota::unlimited(), reserve: None }
    }
}

/// Space on a local disk that uploads leave free for the database and other writes.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// A folder on the disk.
    pub folder: PathBuf,
    /// The part of the disk that must stay free, in percent.
    pub percent: u8,
}

impl Reserve {
    /// Whether there is too little free space. If the disk cannot be queried, there is enough.
    pub(crate) fn is_used_up(&self) -> bool {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return false };
        u128::from(disk.f_bavail) * 100 < u128::from(disk.f_blocks) * u128::from(self.percent)
    }
}
