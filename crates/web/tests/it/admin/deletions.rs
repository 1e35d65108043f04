//! What a deletion has removed, compared with what its preview has said.

use std::collections::BTreeMap;

use guildhall_accounts::Removals;
use guildhall_admin::{Key, Outlook, Writes};
use guildhall_kernel::{Caller, Roles, UserId};
use guildhall_messaging::{Messages, NewMessage, Target};

use super::{STAFF, SUPERUSER, group, private_post, signed_in};
use crate::{
    harness::{Site, site},
    markup::{PAYLOAD, assert_inert},
};

/// The numbers of rows of all tables.
async fn counts(site: &Site) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for model in site.panel.registry().models() {
        counts.insert(model.table.clone(), site.db.count_rows(&model.table).await);
    }
    counts
}

#[tokio::test]
async fn the_deletion_of_a_group_removes_what_its_preview_says() {
    let site = site().await;
    let (_, group) = group(&site, PAYLOAD).await;
    let (sam, browser) = signed_in(&site, "sam", STAFF).await;
    let graph = site.panel.preview_deletion(&sam, "community_group", &[Key::parse(&group.to_string())]).await.unwrap();
    let path = format!("/admin/community_group/delete/?key={group}");
    let page = browser.get(&path).await;
    assert_inert(&path, &page);
    let action = "/admin/community_group/delete/";
    let token = graph.token();
    let key = group.to_string();
    let wrong = browser.submit(&page, action, &[("token", &token), ("key", &key), ("confirmation", "x")]).await;
    assert_eq!(wrong.status, 422);
    let stale = browser.submit(&page, action, &[("token", "x"), ("key", &key), ("confirmation", PAYLOAD)]).await;
    assert_eq!(stale.status, 409);
    let before = counts(&site).await;
    let name = graph.confirmation.clone().unwrap();
    let done = browser.submit(&page, action, &[("token", &token), ("key", &key), ("confirmation", &name)]).await;
    assert_eq!(done.location(), "/admin/community_group/", "{}", done.text);
    assert_counts(&before, &counts(&site).await, "community_group", &graph);
}

/// Each table has lost the rows that were announced, and no other.
fn assert_counts(
    before: &BTreeMap<String, i64>,
    after: &BTreeMap<String, i64>,
    table: &str,
    graph: &guildhall_admin::Graph,
) {
    let mut expected: BTreeMap<&str, i64> = BTreeMap::new();
    expected.insert(table, 1);
    for entry in graph.with(Outlook::Goes) {
        *expected.entry(entry.table.name.as_str()).or_default() += i64::try_from(entry.count.number).unwrap();
    }
    for (name, count) in before {
        let gone = count - after[name];
        // Logs, counters and the outbox of events grow. Streams only repeat what the tables contain.
        let grows = name.starts_with("kernel_") || name.starts_with("realtime_") || name == "accounts_user_count";
        assert!(
            gone == expected.get(name.as_str()).copied().unwrap_or_default() || grows,
            "{name}: {gone} {expected:?}"
        );
    }
}

#[tokio::test]
async fn the_deletion_of_a_user_removes_what_its_preview_says() {
    let site = site().await;
    group(&site, "Print").await;
    site.user("carl").await;
    let ben = site.db.query_i64("SELECT id FROM users WHERE username = 'ben'").await;
    let caller = Caller::new(UserId(ben), Roles::default());
    private_post(&site, &caller).await;
    let (sam, browser) = signed_in(&site, "sam", STAFF).await;
    // A conversation whose other side has gone, one that Anna keeps, and a group of his own.
    for name in ["carl", "anna"] {
        let other = site.db.query_i64(&format!("SELECT id FROM users WHERE username = '{name}'")).await;
        let new = NewMessage::text("hello");
        site.messaging.send(&caller, Target::User(UserId(other)), new).await.unwrap();
        if name == "carl" {
            site.accounts.delete_user(&sam, UserId(other), None).await.unwrap();
        }
    }
    let ben = ben.to_string();
    let graph = site.panel.preview_deletion(&sam, "users", &[Key::parse(&ben)]).await.unwrap();
    let page = browser.get(&format!("/admin/users/delete/?key={ben}")).await;
    // What references the posts and conversations that go is not found by the id of the user.
    let links = page.find("main a[href*='?f.']");
    let links: Vec<&str> = links.into_iter().filter_map(|link| link.value().attr("href")).collect();
    let is_of_user =
        |link: &&str| !["f.post_id", "f.conversation_id", "f.message_id"].iter().any(|it| link.contains(it));
    assert!(!links.is_empty() && links.iter().all(is_of_user), "{links:?}");
    let before = counts(&site).await;
    let fields = [("token", graph.token()), ("key", ben.clone()), ("confirmation", "ben".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let done = browser.submit(&page, "/admin/users/delete/", &fields).await;
    assert_eq!(done.location(), "/admin/users/", "{}", done.text);
    assert_counts(&before, &counts(&site).await, "users", &graph);
}

#[tokio::test]
async fn the_owner_of_an_organization_is_not_deleted_and_the_page_says_why() {
    let site = site().await;
    let anna = site.user("anna").await;
    let organization = crate::deals::organization(&site, &anna, "Acme").await;
    let (sue, browser) = signed_in(&site, "sue", SUPERUSER).await;
    let key = anna.user.to_string();
    let graph = site.panel.preview_deletion(&sue, "users", &[Key::parse(&key)]).await.unwrap();
    let page = browser.get(&format!("/admin/users/delete/?key={key}")).await;
    let (token, action) = (graph.token(), "/admin/users/delete/");
    let fields = [("token", token.as_str()), ("key", key.as_str()), ("confirmation", "anna")];
    let refused = browser.submit(&page, action, &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.find("#form-error").len() == 1);
    assert_eq!(site.db.query_i64("SELECT COUNT(*) FROM users WHERE username = 'anna'").await, 1);
    // The panel goes through the service of deals, which knows its members only.
    let path = format!("/admin/deals_organization/{}/", organization.id);
    let fields = [("submitted", "1"), ("c.name", "Stolen")];
    let refused = browser.fill(&path, &path, &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert_eq!(site.db.query_i64("SELECT COUNT(*) FROM deals_organization WHERE name = 'Stolen'").await, 0);
}

#[tokio::test]
async fn the_deletion_of_an_organization_removes_what_its_preview_says() {
    let site = site().await;
    let (sue, browser) = signed_in(&site, "sue", SUPERUSER).await;
    let key = crate::deals::organization(&site, &sue, "Acme").await.id.to_string();
    let graph = site.panel.preview_deletion(&sue, "deals_organization", &[Key::parse(&key)]).await.unwrap();
    let page = browser.get(&format!("/admin/deals_organization/delete/?key={key}")).await;
    let before = counts(&site).await;
    let token = graph.token();
    let fields = [("token", token.as_str()), ("key", key.as_str()), ("confirmation", "Acme")];
    let done = browser.submit(&page, "/admin/deals_organization/delete/", &fields).await;
    assert_eq!(done.location(), "/admin/deals_organization/", "{}", done.text);
    assert_counts(&before, &counts(&site).await, "deals_organization", &graph);
}
