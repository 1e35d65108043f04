//! The requests of an attacker.

use std::{
    io::{Cursor, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder,
    multipart::{Form, Part},
};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{ATTACKER_ADDRESS, Scenario};

fn leak(bytes: Vec<u8>) -> &'static [u8] {
    Box::leak(bytes.into_boxed_slice())
}

/// A small workbook that expands to a hundred times its size, just below all limits.
fn workbook(rows: usize) -> &'static [u8] {
    let root = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/relationships/officeDocument\" \
        Target=\"xl/workbook.xml\"/></Relationships>";
    let book = "<workbook xmlns:r=\"r\"><sheets><sheet name=\"s\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>";
    let book_relations = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" \
        Target=\"worksheets/sheet1.xml\"/></Relationships>";
    let cells: String = (0..20).map(|_| "<c t=\"inlineStr\"><is><t>a name of somebody</t></is></c>").collect();
    let headings: String = (0..20).map(|n| format!("<c t=\"inlineStr\"><is><t>h{n}</t></is></c>")).collect();
    let sheet = format!(
        "<worksheet><sheetData><row>{headings}</row>{}</sheetData></worksheet>",
        format!("<row>{cells}</row>").repeat(rows)
    );
    let strings = format!("<sst>{}</sst>", "<si><t>aaaa</t></si>".repeat(1_500_000));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("_rels/.rels", root),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", book_relations),
        ("xl/sharedStrings.xml", &strings),
        ("xl/worksheets/sheet1.xml", &sheet),
    ] {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    leak(archive.finish().unwrap().into_inner())
}

pub(super) type AttackRequest = Box<dyn Fn(&Scenario) -> RequestBuilder + Send + Sync>;
pub(super) type Attack = (&'static str, AttackRequest);

/// All attacks, each with its request.
pub(super) fn attacks() -> Vec<Attack> {
    let bomb = workbook(50_000);
    let commas = leak(format!("name\n{}", format!("{}\n", ",".repeat(990)).repeat(10_000)).into_bytes());
    let rows = leak(format!("name,notes\n{}", "somebody,something\n".repeat(99_999)).into_bytes());
    let words: String = (0..60).map(|n| format!("{}{} ", char::from(b'a' + n % 26), n % 10)).collect();
    // All filters, each with its maximum length.
    let ids = (1..=100).map(|id| (id * 150).to_string()).collect::<Vec<_>>().join(",");
    let filters: String = ["id", "created_at", "updated_at"]
        .iter()
        .flat_map(|field| {
            let (low, high) =
                if *field == "id" { ("0", "999999") } else { ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z") };
            [("gte", low), ("gt", low), ("lte", high), ("lt", high), ("isnull", "false")]
                .map(|(operator, value)| format!("&{field}__{operator}={value}"))
        })
        .chain([format!("&id__in={ids}"), "&search=client+1".to_owned()])
        .collect();
    let large = leak(vec![0x55; 9 << 20]);
    vec![
        ("workbooks that expand to a large size", Box::new(move |scenario| scenario.import("a.xlsx", bomb))),
        ("CSV files with many columns", Box::new(move |scenario| scenario.import("a.csv", commas))),
        ("CSV files with many rows", Box::new(move |scenario| scenario.import("a.csv", rows))),
        (
            "searches for many terms",
            Box::new(move |scenario| {
                scenario.request(Method::GET, &format!("/api/community/search/?q={}", words.trim().replace(' ', "+")))
            }),
        ),
        (
            "searches with many hits",
            Box::new(|scenario| scenario.request(Method::GET, &format!("{}search/?q=cl", scenario.attacker().org))),
        ),
        (
            "lists with many filters",
            Box::new(move |scenario| {
                scenario.request(Method::GET, &format!("{}clients/?ordering=name{filters}", scenario.attacker().org))
            }),
        ),
        (
            "counted lists, last pages",
            Box::new(|scenario| {
                let query = "?page=40&page_size=100&search=client&ordering=-name&count=exact";
                scenario.request(Method::GET, &format!("{}clients/{query}", scenario.attacker().org))
            }),
        ),
        (
            "exports of everything",
            Box::new(|scenario| {
                let ending = ["csv", "xlsx"][usize::from(scenario.next().is_multiple_of(2))];
                scenario.request(Method::GET, &format!("{}exports/clients.{ending}", scenario.attacker().org))
            }),
        ),
        (
            "registrations",
            Box::new(|scenario| {
                let name = format!("bot{}", scenario.next());
                let new =
                    json!({"username": name, "email": format!("{name}@example.org"), "password": "correct horse é"});
                scenario.client.post(scenario.installation.url("/api/auth/register/")).json(&new)
            }),
        ),
        (
            "sign-ins with wrong passwords",
            Box::new(|scenario| {
                let name = ["ben", "cleo", "nobody"][usize::try_from(scenario.next() % 3).unwrap_or(0)];
                let guess = json!({"username": name, "password": format!("guess {}", scenario.next())});
                scenario.client.post(scenario.installation.url("/api/auth/login/")).json(&guess)
            }),
        ),
        (
            "password reset requests",
            Box::new(|scenario| {
                let target = json!({"email": "ben@example.org"});
                scenario.client.post(scenario.installation.url("/api/auth/password/reset/")).json(&target)
            }),
        ),
        (
            "uploads",
            Box::new(move |scenario| {
                let form = Form::new().part("file", Part::bytes(large).file_name("a.bin"));
                scenario
                    .request(
                        Method::POST,
                        &format!("{}files/", scenario.attackers[scenario.attack.load(Ordering::SeqCst)].deal),
                    )
                    .multipart(form)
            }),
        ),
        (
            "writes",
            Box::new(|scenario| {
                let new = json!({"name": format!("client {}", scenario.next()), "notes": "x".repeat(9000)});
                scenario.request(Method::POST, &format!("{}clients/", scenario.attacker().org)).json(&new)
            }),
        ),
        (
            "deeply nested JSON",
            Box::new(|scenario| {
                let body = format!("{{\"name\": {}", "[".repeat(1_000_000));
                let request = scenario.request(Method::POST, &format!("{}clients/", scenario.attacker().org));
                request.header("content-type", "application/json").body(body)
            }),
        ),
    ]
}

/// Keeps opening connections that send an incomplete request or nothing.
pub(super) async fn hold_connections(scenario: Arc<Scenario>, opened: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let address: SocketAddr = scenario.installation.address().parse().unwrap();
    let mut connections: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ATTACKER_ADDRESS, 0)).unwrap();
        if let Ok(mut stream) = socket.connect(address).await {
            let count = opened.fetch_add(1, Ordering::SeqCst);
            if count.is_multiple_of(2) {
                let _ = stream.write_all(b"POST /api/auth/login/ HTTP/1.1\r\nHost: a\r\nContent-Le").await;
            }
            connections.push(stream);
        }
        if connections.len() > 3000 {
            connections.drain(..1000);
        }
        if connections.len() % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
