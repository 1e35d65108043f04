//! RFC 6455 as the server applies it, byte by byte: the groups of cases are those of the Autobahn test suite that
//! concern a server. Where that suite expects an echo, a frame of the type `ping` gets a `pong`.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::server::TestServer;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
/// A command that the server replies to.
const COMMAND: &[u8] = br#"{"type":"ping"}"#;

const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const NOT_UTF8: u16 = 1007;
const TOO_LARGE: u16 = 1009;

/// Frames to send: the first byte and the payload.
type Frames<'a> = &'a [(u8, &'a [u8])];

/// What the server has sent.
#[derive(Debug, PartialEq, Eq)]
enum Received {
    /// The type of a JSON frame.
    Frame(String),
    Pong(Vec<u8>),
    /// The code of a close frame, if it has one.
    Close(Option<u16>),
    /// The end of the connection.
    End,
}

/// A client that sends arbitrary bytes.
struct Raw(TcpStream);

impl Raw {
    /// A signed-in socket that has got its first frame.
    async fn open(server: &TestServer, token: &str) -> Self {
        let (raw, head) = Self::handshake(server, token, "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    async fn handshake(server: &TestServer, token: &str, headers: &str) -> (Self, String) {
        let address = server.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /ws/?token={token} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut raw = Self(stream);
        if head.starts_with("HTTP/1.1 101 ") {
            assert_eq!(raw.next().await, Received::Frame("hello".to_owned()));
        }
        (raw, head)
    }

    /// Sends a frame with this first byte: FIN, reserved bits and opcode.
    async fn send(&mut self, first: u8, payload: &[u8]) {
        self.0.write_all(&frame(first, payload)).await.unwrap();
    }

    /// The next frame of the server; heartbeats are skipped.
    async fn next(&mut self) -> Received {
        loop {
            let Ok(first) = timeout(Duration::from_secs(10), self.0.read_u8()).await.unwrap() else {
                return Received::End;
            };
            let length = usize::from(self.0.read_u8().await.unwrap());
            let length = match length {
                126 => usize::from(self.0.read_u16().await.unwrap()),
                127 => usize::try_from(self.0.read_u64().await.unwrap()).unwrap(),
                _ => length,
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            match first & 0x0f {
                TEXT => {
                    let frame: Value = serde_json::from_slice(&payload).unwrap();
                    return Received::Frame(frame["type"].as_str().unwrap().to_owned());
                }
                PONG => return Received::Pong(payload),
                CLOSE => {
                    return Received::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
                }
                PING => {}
                other => panic!("unexpected opcode {other}"),
            }
        }
    }

    async fn expect_reply(&mut self, case: &str) {
        assert_eq!(self.next().await, Received::Frame("pong".to_owned()), "{case}");
    }

    /// Expects that the server closes with a code, and then the connection.
    async fn expect_close(&mut self, code: u16, case: &str) {
        let mut received = self.next().await;
        if received == Received::Frame("bye".to_owned()) {
            received = self.next().await;
        }
        assert_eq!(received, Received::Close(Some(code)), "{case}");
        // A client that has failed may be gone already.
        let _ = self.0.write_all(&frame(FIN | CLOSE, &code.to_be_bytes())).await;
        assert_eq!(self.next().await, Received::End, "{case}");
    }
}

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 + u8::try_from(length).unwrap()),
        length @ 126..0x1_0000 => {
            bytes.push(0x80 + 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0x80 + 127);
            bytes.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The command, padded to a length.
fn padded(length: usize) -> Vec<u8> {
    let mut payload = COMMAND.to_vec();
    payload.resize(length, b' ');
    payload
}

async fn server_and_token() -> (TestServer, String) {
    let server = TestServer::start().await;
    let anna = server.sign_up("anna").await;
    let token = anna["access"].as_str().unwrap().to_owned();
    (server, token)
}

#[tokio::test]
async fn text_of_any_length_is_read_and_binary_data_is_refused() {
    let (server, token) = server_and_token().await;
    let mut raw = Raw::open(&server, &token).await;
    for length in [COMMAND.len(), 125, 126, 127, 128, 65_535, 65_536, 131_072] {
        raw.send(FIN | TEXT, &padded(length)).await;
        raw.expect_reply(&format!("1.1, {length} bytes")).await;
    }
    raw.send(FIN | TEXT, b"").await;
    assert_eq!(raw.next().await, Received::Frame("error".to_owned()), "1.1.1");
    raw.send(FIN | TEXT, &padded(131_073)).await;
    raw.expect_close(TOO_LARGE, "9.1").await;

    let mut raw = Raw::open(&server, &token).await;
    raw.send(FIN | BINARY, &[0xfe; 125]).await;
    raw.expect_close(UNSUPPORTED, "1.2").await;
}

#[tokio::test]
async fn pings_are_answered_in_order_and_pongs_are_ignored() {
    let (server, token) = server_and_token().await;
    let mut raw = Raw::open(&server, &token).await;
    for payload in [&b""[..], b"Hello", &[0, 0xff, 0xfe, 0xfd], &[0xfe; 125]] {
        raw.send(FIN | PING, payload).await;
        assert_eq!(raw.next().await, Received::Pong(payload.to_vec()), "2.1 to 2.4");
    }
    for byte in frame(FIN | PING, b"in single bytes") {
        raw.0.write_all(&[byte]).await.unwrap();
        raw.0.flush().await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(raw.next().await, Received::Pong(b"in single bytes".to_vec()), "2.6");
    raw.send(FIN | PONG, b"unsolicited").await;
    raw.send(FIN | PING, b"after").await;
    assert_eq!(raw.next().await, Received::Pong(b"after".to_vec()), "2.7 to 2.9");
    for number in 0..10 {
        raw.send(FIN | PING, &[number]).await;
        assert_eq!(raw.next().await, Received::Pong(vec![number]), "2.10");
    }
    raw.send(FIN | PING, &[0xfe; 126]).await;
    raw.expect_close(PROTOCOL_ERROR, "2.5").await;
}

#[tokio::test]
async fn reserved_bits_and_opcodes_and_unmasked_frames_end_the_connection() {
    let (server, token) = server_and_token().await;
    for bits in 1..8 {
        let mut raw = Raw::open(&server, &token).await;
        raw.send(FIN | (bits << 4) | TEXT, COMMAND).await;
        raw.expect_close(PROTOCOL_ERROR, &format!("3, bits {bits}")).await;
    }
    for opcode in (3..8).chain(11..16) {
        let mut raw = Raw::open(&server, &token).await;
        raw.send(FIN | opcode, b"").await;
        raw.expect_close(PROTOCOL_ERROR, &format!("4, opcode {opcode}")).await;
    }
    let mut raw = Raw::open(&server, &token).await;
    raw.0.write_all(&[FIN | TEXT, 2, b'{', b'}']).await.unwrap();
    raw.expect_close(PROTOCOL_ERROR, "RFC 6455, section 5.1").await;
}

#[tokio::test]
async fn fragments_are_put_together() {
    let (server, token) = server_and_token().await;
    let mut raw = Raw::open(&server, &token).await;
    let (one, two) = COMMAND.split_at(6);
    raw.send(TEXT, one).await;
    raw.send(FIN | CONTINUATION, two).await;
    raw.expect_reply("5.3").await;
    raw.send(TEXT, one).await;
    raw.send(FIN | PING, b"between").await;
    assert_eq!(raw.next().await, Received::Pong(b"between".to_vec()), "5.6");
    raw.send(CONTINUATION, b"").await;
    raw.send(FIN | CONTINUATION, two).await;
    raw.expect_reply("5.6").await;
    raw.send(TEXT, &COMMAND[..1]).await;
    for byte in &COMMAND[1..] {
        raw.send(CONTINUATION, &[*byte]).await;
    }
    raw.send(FIN | CONTINUATION, b"").await;
    raw.expect_reply("5.19").await;

    let cases: [(&str, Frames<'_>); 6] = [
        ("5.1", &[(PING, one), (FIN | CONTINUATION, two)]),
        ("5.2", &[(PONG, one), (FIN | CONTINUATION, two)]),
        ("5.9", &[(FIN | CONTINUATION, COMMAND)]),
        ("5.12", &[(CONTINUATION, COMMAND)]),
        ("5.15", &[(TEXT, one), (FIN | TEXT, COMMAND)]),
        ("5.18", &[(TEXT, one), (TEXT, two)]),
    ];
    for (case, frames) in cases {
        let mut raw = Raw::open(&server, &token).await;
        for (first, payload) in frames {
            raw.send(*first, payload).await;
        }
        raw.expect_close(PROTOCOL_ERROR, case).await;
    }
    // Fragments count together.
    let mut raw = Raw::open(&server, &token).await;
    raw.send(TEXT, &padded(100_000)).await;
    raw.send(FIN | CONTINUATION, &vec![b' '; 100_000]).await;
    raw.expect_close(TOO_LARGE, "9.3").await;
}

#[tokio::test]
async fn text_must_be_utf8_across_fragments() {
    let (server, token) = server_and_token().await;
    let mut raw = Raw::open(&server, &token).await;
    let text = r#"{"type":"ping","n":"Hello-µ@ßöäüàá-UTF-8!! κόσμε \ud83d\ude00 🦀"}"#.as_bytes();
    raw.send(FIN | TEXT, text).await;
    raw.expect_reply("6.2.1").await;
    for split in 1..text.len() {
        raw.send(TEXT, &text[..split]).await;
        raw.send(FIN | CONTINUATION, &text[split..]).await;
        raw.expect_reply(&format!("6.2.3, split at {split}")).await;
        sleep(Duration::from_millis(25)).await; // the limit of frames per second
    }
    let invalid: [&[u8]; 6] = [
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        b"\xf4\x90\x80\x80",
        b"\xc0\xaf",
        b"\xe0\x80\x80",
        b"\xed\xbf\xbf",
        b"\xff",
    ];
    for payload in invalid {
        let mut raw = Raw::open(&server, &token).await;
        raw.send(FIN | TEXT, payload).await;
        raw.expect_close(NOT_UTF8, &format!("6.3 to 6.21, {payload:x?}")).await;
        let mut raw = Raw::open(&server, &token).await;
        let (one, two) = payload.split_at(payload.len() / 2);
        raw.send(TEXT, one).await;
        raw.send(FIN | CONTINUATION, two).await;
        raw.expect_close(NOT_UTF8, &format!("6.3.2, {payload:x?}")).await;
    }
    let mut raw = Raw::open(&server, &token).await;
    raw.send(FIN | TEXT, &text[..text.len() - 4]).await;
    raw.expect_close(NOT_UTF8, "6.1, ends within a character").await;
}

#[tokio::test]
async fn close_frames_are_answered_with_their_code() {
    let (server, token) = server_and_token().await;
    let mut raw = Raw::open(&server, &token).await;
    raw.send(FIN | CLOSE, b"").await;
    raw.send(FIN | TEXT, COMMAND).await;
    assert_eq!(raw.next().await, Received::Close(None), "7.1.3, 7.3.1");
    assert_eq!(raw.next().await, Received::End, "7.1.3");
    for code in [1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        for reason in ["", "Hello World!", &"x".repeat(123)] {
            let mut raw = Raw::open(&server, &token).await;
            raw.send(FIN | CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat()).await;
            assert_eq!(raw.next().await, Received::Close(Some(code)), "7.7, {code}");
            assert_eq!(raw.next().await, Received::End, "7.7, {code}");
        }
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let mut raw = Raw::open(&server, &token).await;
        raw.send(FIN | CLOSE, &code.to_be_bytes()).await;
        raw.expect_close(PROTOCOL_ERROR, &format!("7.9, {code}")).await;
    }
    let invalid: [(&str, &[u8], u16); 3] = [
        ("7.3.2, half a code", &[0x03], PROTOCOL_ERROR),
        ("7.3.6, too long", &[&1000_u16.to_be_bytes()[..], &[b'x'; 124]].concat(), PROTOCOL_ERROR),
        ("7.5.1, not UTF-8", b"\x03\xe8\xce\xba\xe1\xbd\xb9\xed\xa0\x80", NOT_UTF8),
    ];
    for (case, payload, code) in invalid {
        let mut raw = Raw::open(&server, &token).await;
        raw.send(FIN | CLOSE, payload).await;
        raw.expect_close(code, case).await;
    }
}

#[tokio::test]
async fn extensions_are_not_negotiated() {
    let (server, token) = server_and_token().await;
    let offer = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n";
    let (mut raw, head) = Raw::handshake(&server, &token, offer).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(!head.to_lowercase().contains("sec-websocket-extensions"), "12 and 13: {head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the accept key of RFC 6455, section 1.3: {head}");
    raw.send(FIN | TEXT, COMMAND).await;
    raw.expect_reply("12 and 13").await;
}
