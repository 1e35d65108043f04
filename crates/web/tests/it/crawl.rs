//! Links lead to pages that exist.

use std::collections::{BTreeSet, VecDeque};

use crate::{harness::site, markup::hostile};

#[tokio::test]
async fn every_link_of_every_page_leads_to_a_page() {
    let site = site().await;
    let (_, browser, paths) = hostile(&site).await;
    let mut seen: BTreeSet<String> = paths.iter().cloned().collect();
    let mut open: VecDeque<(String, String)> = paths.into_iter().map(|path| ("start".to_owned(), path)).collect();
    while let Some((from, path)) = open.pop_front() {
        let page = browser.get(&path).await;
        let is_redirect = page.status == 303 && !page.location().starts_with("/login/");
        assert!(page.status == 200 || is_redirect, "{path} on {from}: {}", page.status);
        for link in page.find("a[href]") {
            let href = link.value().attr("href").unwrap().split('#').next().unwrap();
            // The API reference and files are served by other crates.
            let is_page = href.starts_with('/') && !href.starts_with("/api/");
            if is_page && seen.len() < 400 && seen.insert(href.to_owned()) {
                open.push_back((path.clone(), href.to_owned()));
            }
        }
        for form in page.find("form[action]") {
            let action = form.value().attr("action").unwrap();
            let method = form.value().attr("method").unwrap_or("get");
            if method == "post" && seen.insert(format!("post {action}")) {
                // Without its token nothing happens: the answer only tells that there is such an address.
                let answer = browser.post_raw(action, &[]).await;
                assert!(matches!(answer.status.as_u16(), 403 | 415), "{action} on {path}: {}", answer.status);
            }
        }
    }
    assert!(seen.len() > 60);
}
