//! A client and a server for tests.

use std::net::SocketAddr;

use guildhall_kernel::http::{FetchError, FetchedPage};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::{PublicHttp, client, resolver::Allowed};

impl PublicHttp {
    /// A client that needs no certificates.
    pub(super) fn with(allowed: Allowed, any_port: bool) -> Self {
        let client = client(allowed).tls_certs_only([]).build().unwrap();
        Self { client, allowed, any_port }
    }

    /// A client that reaches this host only, on any port.
    pub(super) fn loopback() -> Self {
        Self::with(|address| address.is_loopback(), true)
    }
}

/// Starts a server that responds by path.
pub(super) async fn serve(respond: fn(&str) -> String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut request = String::new();
            stream.read_line(&mut request).await.unwrap();
            let mut header = String::new();
            while stream.read_line(&mut header).await.unwrap() > "\r\n".len() {
                header.clear();
            }
            let path = request.split(' ').nth(1).unwrap_or_default();
            // The client hangs up once it has read enough.
            let _ = stream.write_all(respond(path).as_bytes()).await;
        }
    });
    address
}

pub(super) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n\r\n{body}")
}

pub(super) fn page(body: &str) -> String {
    response("200 OK", "content-type: text/html; charset=utf-8", body)
}

pub(super) fn moved(to: &str) -> String {
    response("302 Found", &format!("content-length: 0\r\nlocation: {to}"), "")
}

pub(super) fn is_permanent(read: &Result<FetchedPage, FetchError>) -> bool {
    matches!(read, Err(FetchError::Permanent(_)))
}
