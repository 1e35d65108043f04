use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use tokio_util::io::ReaderStream;

use super::Store;

/// What is read of a file at a time, in bytes.
const CHUNK: usize = 64 * 1024;
/// How much of a file goes to the disk at a time, in bytes. Whatever else waits for the disk waits for all that was sent
/// there before.
const PIECE: usize = 256 << 10;
/// What a file is called while it is written. No object is called so: names have no underscore.
const DRAFT: &str = "_draft";

/// A folder of this machine as a [`Store`]; made when it is first written to, for the owner's eyes only.
/// An object lies in a folder that is called like the first two letters of its name.
pub struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    /// The store in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { root: path.into() }
    }

    /// Where an object lies: the folder and the file.
    fn place(&self, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        let letters = name.get(..2).filter(|letters| letters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
        match letters {
            Some(letters) if name.len() <= 100 && name.bytes().all(plain) => {
                let folder = self.root.join(letters);
                let path = folder.join(name);
                Ok((folder, path))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no name of an object"))),
        }
    }
}

#[async_trait]
impl Store for FolderStore {
    async fn put(&self, name: &str, content: Bytes, _: &str) -> io::Result<()> {
        let (folder, path) = self.place(name)?;
        let root = self.root.clone();
        blocking(move || write(&root, &folder, &path, &content)).await
    }

    async fn get(&self, name: &str) -> io::Result<Body> {
        let (_, path) = self.place(name)?;
        let file = tokio::fs::File::open(path).await?;
        Ok(Body::from_stream(ReaderStream::with_capacity(file, CHUNK)))
    }

    async fn delete(&self, name: &str) -> io::Result<()> {
        let (_, path) = self.place(name)?;
        // A crash may have left the draft alone.
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

/// Writes a file so that it is there whole or not at all, whatever happens to the machine.
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
    let mut pieces = content.chunks(PIECE);
    let written = pieces
        .try_for_each(|piece| file.write_all(piece).and_then(|()| file.sync_data()))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written?;
    // A file's name is part of its folder, which is stored in its own time unless asked.
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
#[cfg(feature = "testing")]
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
    async fn an_object_is_there_until_it_is_removed_and_for_the_owner_alone() {
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
    async fn no_name_leads_out_of_the_folder() {
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
    async fn a_folder_that_cannot_be_written_is_found_out() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("files"), "no folder").unwrap();
        assert!(FolderStore::new(home.path().join("files")).check().await.is_err());
    }
}
