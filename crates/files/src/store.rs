use std::io;

use async_trait::async_trait;
use axum::body::{Body, Bytes, to_bytes};
use guildhall_kernel::{Result, secret::random};

/// A store for the content of files: a folder or an object store. Objects are immutable.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores an object. Its name consists of lower-case letters, digits, `.` and `-`.
    async fn put(&self, name: &str, content: Bytes, content_type: &str) -> io::Result<()>;

    /// Reads an object as a stream; `NotFound` if it does not exist.
    async fn get(&self, name: &str) -> io::Result<Body>;

    /// Deletes an object; succeeds if it does not exist.
    async fn delete(&self, name: &str) -> io::Result<()>;

    /// Checks that objects can be written, read and deleted, with a temporary object.
    async fn check(&self) -> io::Result<()> {
        let name = format!("00-probe-{}", random_key().map_err(io::Error::other)?);
        let content = Bytes::from(name.clone());
        self.put(&name, content.clone(), "text/plain").await?;
        let found = match self.get(&name).await {
            Ok(body) => to_bytes(body, 2 * content.len()).await.map_err(io::Error::other),
            Err(error) => Err(error),
        };
        let deleted = self.delete(&name).await;
        if found? != content {
            return Err(io::Error::other("the content read differs from the content written"));
        }
        deleted
    }
}

/// An unguessable, unique name: 32 hexadecimal digits.
pub(crate) fn random_key() -> Result<String> {
    Ok(random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The name of an object in the store.
pub(crate) fn object_name(key: &str, variant: &str) -> String {
    if variant.is_empty() { key.to_owned() } else { format!("{key}.{variant}") }
}
