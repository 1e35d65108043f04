//! The first start.

use guildhall_accounts::FirstStart;
use guildhall_kernel::Roles;

use crate::harness::{PASSWORD, Site, URL, site};

fn path(site: &Site) -> String {
    site.setup.url(&URL.parse().unwrap()).unwrap().strip_prefix(URL).unwrap().to_owned()
}

#[tokio::test]
async fn the_printed_link_makes_the_first_superuser_once() {
    let site = site().await;
    let (path, browser) = (path(&site), site.visitor());
    let page = browser.get(&path).await;
    assert!(page.status == 200 && page.text.contains("in 60 minutes"), "{}", page.text);
    let csrf = page.find("input[name=csrf_token]")[0].value().attr("value").unwrap().to_owned();
    let send = async |password: &str| {
        let fields =
            [("csrf_token", csrf.as_str()), ("username", "admin"), ("email", "a@example.org"), ("password", password)];
        browser.post_raw(&path, &fields).await
    };
    let weak = send("password").await;
    assert_eq!((weak.status.as_u16(), weak.find("#password-error").len()), (422, 1));
    let done = send(PASSWORD).await;
    assert_eq!((done.status.as_u16(), done.location()), (303, "/"), "{}", done.text);
    assert_eq!(browser.get("/").await.status, 200);
    assert!(!site.accounts.needs_superuser().await.unwrap());
    assert_eq!(site.visitor().get(&path).await.status, 404, "the link is spent");
}

#[tokio::test]
async fn another_token_or_an_old_one_is_not_accepted() {
    let site = site().await;
    let browser = site.visitor();
    assert_eq!(browser.get("/setup/guess/").await.status, 404);
    site.advance(3601);
    assert_eq!(browser.get(&path(&site)).await.status, 404);
}

#[tokio::test]
async fn a_superuser_made_otherwise_spends_the_link() {
    let site = site().await;
    assert!(site.visitor().get("/login/").await.text.contains("no administrator yet"));
    site.user_with("operator", Roles { superuser: true, ..Roles::default() }).await;
    assert_eq!(site.visitor().get(&path(&site)).await.status, 404);
    assert!(!site.visitor().get("/login/").await.text.contains("no administrator yet"));
}
