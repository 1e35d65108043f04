//! Style sheets, scripts and icons, and the vendored libraries.

use std::{collections::BTreeSet, fs, path::Path};

use axum::{body::Body, http::Request};
use sha2::{Digest, Sha256};

use crate::harness::site;

#[tokio::test]
async fn assets_are_kept_forever_under_a_name_with_their_hash() {
    let browser = site().await.visitor();
    let page = browser.get("/login/").await;
    let style = page.find("link[rel=stylesheet]")[0].value().attr("href").unwrap().to_owned();
    let sheet = browser.get(&style).await;
    assert_eq!(sheet.headers["cache-control"], "public, max-age=31536000, immutable");
    assert!(sheet.headers["content-type"].to_str().unwrap().starts_with("text/css"));
    assert!(sheet.text.contains("light-dark("));
    let old = browser.get("/assets/0000000000000000/app.css").await;
    assert_eq!((old.status.as_u16(), &old.headers["cache-control"]), (200, &"no-cache".parse().unwrap()));
    assert_eq!(browser.get("/assets/0000000000000000/secrets").await.status, 404);
}

#[tokio::test]
async fn assets_are_compressed() {
    let browser = site().await.visitor();
    let page = browser.get("/login/").await;
    let style = page.find("link[rel=stylesheet]")[0].value().attr("href").unwrap().to_owned();
    for encoding in ["br", "gzip"] {
        let request = Request::get(&style).header("accept-encoding", encoding);
        let sheet = browser.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(sheet.headers["content-encoding"], encoding);
    }
}

#[test]
fn the_vendored_files_have_their_checksums() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor");
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let mut listed = BTreeSet::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let content = fs::read(folder.join(name)).unwrap();
        let found = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(found, sum, "{name}");
        listed.insert(name.to_owned());
    }
    for library in ["htmx", "lucide"] {
        for entry in fs::read_dir(folder.join(library)).unwrap() {
            let name = format!("{library}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(listed.contains(&name), "{name} has no checksum");
        }
    }
}
