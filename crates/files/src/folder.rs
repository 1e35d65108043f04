use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use tokio_util::io::ReaderStream;

use crate::store::Store;

/// How much of a file is read at a time, in bytes.
const READ_CHUNK: usize = 64 * 1024;
/// How much of a file is written and synced at a time, in bytes: other disk operations, such as commits of the
/// database, wait for everything that was queued before.
const WRITE_CHUNK: usize = 256 << 10;
/// The suffix of a file while it is written. Names of objects have no underscore.
const DRAFT: &str = "_draft";

/// A local folder as a [`Store`], created on the first write, accessible only to its owner. An object is in a subfolder
/// named by the first two characters of its name.
pub struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    /// The store in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { root: path.into() }
    }

    /// The folder and the path of an object.
    fn path(&self, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        let prefix = name.get(..2).filter(|prefix| prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
        match prefix {
            Some(prefix) if name.len() <= 100 && name.bytes().all(is_allowed) => {
                let folder = self.root.join(prefix);
                let path = folder.join(name);
                Ok((folder, path))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a valid object name"))),
        }
    }
}

#[async_trait]
impl Store for FolderStore {
    async fn put(&self, name: &str, content: Bytes, _: &str) -> io::Result<()> {
        let (folder, path) = self.path(name)?;
        let root = self.root.clone();
        blocking(move || write(&root, &folder, &path, &content)).await
    }

    async fn get(&self, name: &str) -> io::Result<Body> {
        let (_, path) = self.path(name)?;
        let file = tokio::fs::File::open(path).await?;
        Ok(Body::from_stream(ReaderStream::with_capacity(file, READ_CHUNK)))
    }

    async fn delete(&self, name: &str) -> io::Result<()> {
        let (_, path) = self.path(name)?;
        // A crash may have left a draft.
        blocking(move || remove(&draft(&path)).and_then(|()| remove(&path))).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn draft(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(DRAFT);
    draft.into()
}

/// Writes a file atomically and durably.
fn write(root: &Path, folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let is_new = !folder.is_dir();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let draft = draft(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let mut chunks = content.chunks(WRITE_CHUNK);
    let written = chunks
        .try_for_each(|chunk| file.write_all(chunk).and_then(|()| file.sync_data()))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written?;
    // The name of a file is durable only once its folder is synced.
    File::open(folder)?.sync_all()?;
    if is_new { File::open(root)?.sync_all() } else { Ok(()) }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use axum::body::to_bytes;

    use super::*;

    async fn read(store: &FolderStore, name: &str) -> io::Result<Bytes> {
        let body = store.get(name).await?;
        to_bytes(body, 1 << 20).await.map_err(io::Error::other)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn an_object_exists_until_it_is_deleted_and_is_private_to_the_owner() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("data/files");
        let store = FolderStore::new(&root);
        assert_eq!(store.get("abcdef").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        store.delete("abcdef").await.unwrap();
        assert!(!root.exists(), "nothing was written yet");

        let content = Bytes::from(vec![7; 200_000]);
        store.put("abcdef.small", content.clone(), "text/plain").await.unwrap();
        assert_eq!(read(&store, "abcdef.small").await.unwrap(), content);
        let path = root.join("ab/abcdef.small");
        assert_eq!([mode(&root), mode(&root.join("ab")), mode(&path)], [0o700, 0o700, 0o600]);
        assert_eq!(fs::read_dir(root.join("ab")).unwrap().count(), 1, "no draft is left");

        fs::write(draft(&path), "half").unwrap();
        store.delete("abcdef.small").await.unwrap();
        assert_eq!(fs::read_dir(root.join("ab")).unwrap().count(), 0);
        store.check().await.unwrap();
        assert_eq!(fs::read_dir(root.join("00")).unwrap().count(), 0, "a check leaves nothing behind");
    }

    #[tokio::test]
    async fn no_name_escapes_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let store = FolderStore::new(home.path().join("files"));
        for name in ["", "a", "../x", "..", "ab/../../x", "/etc/passwd", "ab\\x", "AB", "ab\0", "ab_draft", "äb"] {
            let refused = store.put(name, Bytes::new(), "text/plain").await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{name}");
            assert_eq!(store.get(name).await.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
            assert_eq!(store.delete(name).await.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        assert!(fs::read_dir(home.path()).unwrap().next().is_none());
    }

    #[tokio::test]
    async fn the_check_fails_if_the_folder_is_not_writable() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("files"), "no folder").unwrap();
        assert!(FolderStore::new(home.path().join("files")).check().await.is_err());
    }
}
