use std::io;

use async_trait::async_trait;
use axum::body::{Body, Bytes, to_bytes};

use crate::{Result, secret::random};

/// Where the content of files lies: a folder, or an object store. An object never changes once it is
/// there.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores an object. Its name is of lower-case letters, digits, `.` and `-`.
    async fn put(&self, name: &str, content: Bytes, content_type: &str) -> io::Result<()>;

    /// Reads an object as a stream; `NotFound` where there is none.
    async fn get(&self, name: &str) -> io::Result<Body>;

    /// Removes an object; one that is not there is fine.
    async fn delete(&self, name: &str) -> io::Result<()>;

    /// Can objects be written, read and removed? Leaves none behind.
    async fn check(&self) -> io::Result<()> {
        let name = format!("00-probe-{}", random_key().map_err(io::Error::other)?);
        let content = Bytes::from(name.clone());
        self.put(&name, content.clone(), "text/plain").await?;
        let found = match self.get(&name).await {
            Ok(body) => to_bytes(body, 2 * content.len()).await.map_err(io::Error::other),
            Err(error) => Err(error),
        };
        let removed = self.delete(&name).await;
        if found? != content {
            return Err(io::Error::other("what was read is not what had been written"));
        }
        removed
    }
}

/// A name that nobody guesses and no two objects share: 32 hexadecimal digits.
pub(super) fn random_key() -> Result<String> {
    Ok(random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
