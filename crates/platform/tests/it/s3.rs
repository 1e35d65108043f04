use std::io;

use axum::body::{Bytes, to_bytes};
use guildhall_files::Store;
use guildhall_platform::S3Store;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The URL of an object store that accepts any credentials; `tests/with-s3.sh` starts one.
const SERVER_VARIABLE: &str = "GUILDHALL_TEST_S3";

/// The server's host and port, if there is one.
fn server() -> Option<String> {
    let server = std::env::var(SERVER_VARIABLE).unwrap_or_default();
    if server.is_empty() {
        eprintln!("SKIPPED: no object store. Run the tests with tests/with-s3.sh.");
        return None;
    }
    Some(server.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned())
}

async fn create_bucket(host: &str, name: &str) {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("PUT /{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.split(' ').nth(1) == Some("200"), "{response}");
}

async fn read(store: &S3Store, name: &str) -> io::Result<Bytes> {
    let body = store.get(name).await?;
    to_bytes(body, 10 << 20).await.map_err(io::Error::other)
}

#[tokio::test]
async fn stores_and_deletes_an_object() {
    let Some(host) = server() else { return };
    let bucket = format!("guildhall-{}", std::process::id());
    create_bucket(&host, &bucket).await;
    let store = S3Store::new(&format!("s3://key:s%2Fcret@{host}/{bucket}?tls=off")).unwrap();
    store.check().await.unwrap();
    assert_eq!(store.get("abc").await.unwrap_err().kind(), io::ErrorKind::NotFound);
    store.delete("abc").await.unwrap();

    let content = Bytes::from(vec![7; 3 << 20]);
    store.put("abc.small", content.clone(), "image/png").await.unwrap();
    assert_eq!(read(&store, "abc.small").await.unwrap(), content);
    let other_folder = S3Store::new(&format!("s3://key:s%2Fcret@{host}/{bucket}/folder/below?tls=off")).unwrap();
    assert_eq!(other_folder.get("abc.small").await.unwrap_err().kind(), io::ErrorKind::NotFound);
    other_folder.put("abc.small", Bytes::from("beside"), "text/plain; charset=utf-8").await.unwrap();
    assert_eq!(read(&other_folder, "abc.small").await.unwrap(), "beside");
    assert_eq!(read(&store, "abc.small").await.unwrap(), content);

    store.delete("abc.small").await.unwrap();
    assert_eq!(store.get("abc.small").await.unwrap_err().kind(), io::ErrorKind::NotFound);
    other_folder.delete("abc.small").await.unwrap();
}

#[tokio::test]
async fn a_missing_bucket_fails_the_check() {
    let Some(host) = server() else { return };
    let store = S3Store::new(&format!("s3://key:hunter2@{host}/guildhall-nowhere?tls=off")).unwrap();
    let message = store.check().await.unwrap_err().to_string();
    assert!(!message.contains("hunter2"), "{message}");
}
