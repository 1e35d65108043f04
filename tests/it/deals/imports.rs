//! Imports of tables.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use super::fixture;

#[tokio::test]
async fn an_import_follows_the_options_of_its_form() {
    let fixture = fixture().await;
    let (server, anna, org) = (&fixture.server, &fixture.anna, &fixture.org);
    let send = async |fields: &[(&'static str, &'static str)], bytes: &[u8]| {
        let file = Part::bytes(bytes.to_vec()).file_name("table.csv");
        let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(*name, *value));
        let request = server.request(Method::POST, &format!("{org}imports/")).header("authorization", anna);
        let response = server.send(request.multipart(form.part("file", file))).await;
        (response.status.as_u16(), response.json())
    };
    let count = async || server.get(&format!("{org}deals/"), anna).await.json()["count"].clone();
    let table = b"Firma;Name;Wert\nM\xfcller;eins;1.234,50\nM\xfcller;zwei;x\n";
    let mapping = r#"{"Firma": "client", "Name": "title", "Wert": "value"}"#;
    let common =
        [("kind", "deals"), ("mapping", mapping), ("delimiter", ";"), ("encoding", "windows-1252"), ("decimal", ",")];
    let with = |more: &[(&'static str, &'static str)]| [&common[..], more].concat();
    let (status, checked) = send(&with(&[("dry_run", "true"), ("mode", "partial")]), table).await;
    assert_eq!((status, &checked["status"], &checked["failed"]), (201, &json!("checked"), &json!(1)), "{checked}");
    assert_eq!((&checked["errors"][0]["line"], &checked["errors"][0]["column"]), (&json!(3), &json!("Wert")));
    assert_eq!(count().await, 0);
    assert_eq!(send(&with(&[]), table).await.1["status"], "refused");
    assert_eq!(count().await, 0);
    let (_, done) = send(&with(&[("mode", "partial")]), table).await;
    assert_eq!((&done["status"], &done["created"]), (&json!("done"), &json!(1)));
    let deal = server.get(&format!("{org}deals/"), anna).await.json()["results"][0].clone();
    assert_eq!((&deal["value"], &deal["client"]["name"]), (&json!("1234.50"), &json!("Müller")));
    let clients = "name,email\nNew,a@b.example\n".as_bytes();
    assert_eq!(send(&[("kind", "clients")], clients).await.1["created"], 1);
    assert_eq!(send(&[("kind", "clients"), ("on_duplicate", "skip")], clients).await.1["skipped"], 1);
    for (field, value) in [
        ("delimiter", "|"),
        ("encoding", "ebcdic"),
        ("decimal", "'"),
        ("mode", "some"),
        ("dry_run", "maybe"),
        ("on_duplicate", "x"),
        ("mapping", "["),
    ] {
        let (status, refused) = send(&[("kind", "clients"), (field, value)], clients).await;
        assert!(status == 400 && refused["errors"][field].is_array(), "{field}: {refused}");
    }
    let reverted = server.post(&format!("{org}imports/{}/revert/", done["id"]), anna, Value::Null).await;
    assert_eq!((&reverted.json()["status"], count().await), (&json!("reverted"), json!(0)));
}
