//! What must hold for the markup of every page.

use std::collections::BTreeSet;

use guildhall_chat::{Messages as _, NewMessage as NewRoomMessage, NewRoom, Participants, Pins, Requests, Rooms};
use guildhall_community::{Comments, Groups, NewComment, NewGroup, NewPost, Posts};
use guildhall_kernel::{Caller, Roles};
use guildhall_messaging::{Messages, NewMessage, Target};

use crate::{
    browser::{Browser, Page},
    harness::{Site, site},
};

/// Text that would run if it were not escaped.
pub(crate) const PAYLOAD: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>";

/// A community whose names and texts are hostile, and the pages of it.
pub(crate) async fn hostile(site: &Site) -> (Caller, Browser, Vec<String>) {
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let fields = [("display_name", PAYLOAD), ("first_name", ""), ("last_name", "")];
    assert_eq!(browser.fill("/account/", "/account/", &fields).await.status, 303);
    let new =
        NewGroup { name: PAYLOAD.into(), description: PAYLOAD.into(), category: "craft".into(), ..NewGroup::default() };
    let group = site.community.groups.create_group(&anna, new).await.unwrap().id;
    let new = NewPost { content: PAYLOAD.into(), title: PAYLOAD.into(), group: Some(group), ..NewPost::default() };
    let post = site.community.posts.create_post(&anna, new).await.unwrap().id;
    let new = NewComment { content: PAYLOAD.into(), parent: None };
    let comment = site.community.posts.create_comment(&anna, post, new).await.unwrap().id;
    let sent = site.messaging.send(&ben, Target::User(anna.user), NewMessage::text(PAYLOAD)).await.unwrap().message;
    site.messaging.send(&anna, Target::User(ben.user), NewMessage::text(PAYLOAD)).await.unwrap();
    let teacher = Caller::new(anna.user, Roles { teacher: true, ..Roles::default() });
    let room = NewRoom { description: PAYLOAD.into(), ..NewRoom::named(&PAYLOAD[..50]) };
    let room = site.chat.open_room(&teacher, room).await.unwrap().id;
    site.chat.invite(&anna, room, ben.user).await.unwrap();
    let said = site.chat.send(&ben, room, NewRoomMessage::text(PAYLOAD)).await.unwrap().message.id;
    site.chat.pin(&anna, room, said).await.unwrap();
    site.chat.join(&site.user("carl").await, room).await.unwrap();
    let deals = crate::deals::hostile(site, (&anna, &ben)).await;
    site.notify().await;
    let (me, other) = (anna.user, ben.user);
    let fixed = [
        "/",
        "/?feed=global",
        "/?feed=following",
        "/?feed=saved",
        "/groups/",
        "/groups/new/",
        "/posts/new/",
        "/people/",
        "/search/?q=script",
        "/messaging/",
        "/messaging/new/?q=b",
        "/rooms/",
        "/rooms/?show=closed",
        "/notifications/",
        "/notifications/settings/",
        "/menu/",
        "/account/",
        "/account/security/",
        "/account/tokens/",
        "/account/blocked/",
        "/account/data/",
    ];
    let mut paths: Vec<String> = fixed.iter().map(|path| (*path).to_owned()).collect();
    let payload = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    paths.extend([format!("/search/?q={payload}"), format!("/groups/?q={payload}"), format!("/people/?q={payload}")]);
    paths.extend(
        ["", "members/", "requests/", "invites/", "settings/", "delete/"].map(|tab| format!("/groups/{group}/{tab}")),
    );
    paths.extend([format!("/posts/{post}/"), format!("/posts/{post}/edit/"), format!("/comments/{comment}/")]);
    paths.extend([format!("/people/{me}/"), format!("/people/{other}/"), format!("/posts/new/?group={group}")]);
    paths.push(format!("/messaging/conversation/{other}/"));
    paths.extend(deals);
    paths.extend(
        ["", "people/", "requests/", "invite/?q=b", "settings/", "close/", "search/?q=script"]
            .map(|page| format!("/rooms/{room}/{page}")),
    );
    paths.push(format!("/rooms/{room}/messages/{said}/"));
    paths.push(format!("/messaging/{}/messages/{}/", sent.conversation_id, sent.id));
    (anna, browser, paths)
}

/// Pages that need no session.
const PUBLIC: [&str; 7] = [
    "/login/",
    "/register/",
    "/password/forgot/",
    "/password/reset/?token=%22%3E%3Cscript%3E",
    "/email/verify/?token=%22%3E%3Cscript%3E",
    "/invites/x/",
    "/nowhere/%22%3E%3Cscript%3E/",
];

/// Checks that nothing in a page runs or is styled by its own text.
pub(crate) fn assert_inert(path: &str, page: &Page) {
    for script in page.find("script") {
        let source = script.value().attr("src").unwrap_or_default();
        assert!(source.starts_with("/assets/") && script.text().next().is_none(), "{path}: an inline script");
    }
    assert!(page.find("style").is_empty(), "{path}: an inline style sheet");
    for element in page.find("*") {
        for (name, value) in element.value().attrs() {
            assert!(name != "style" && !name.starts_with("on") && !name.starts_with("hx-on"), "{path}: {name}={value}");
            let is_url = ["href", "src", "action", "formaction"].contains(&name);
            assert!(!is_url || !value.trim_start().to_lowercase().starts_with("javascript:"), "{path}: {value}");
        }
    }
    assert!(page.find("img[src=x]").is_empty(), "{path}: an injected picture");
}

#[tokio::test]
async fn no_page_contains_inline_scripts_or_styles_whatever_people_write() {
    let site = site().await;
    let (_, browser, paths) = hostile(&site).await;
    for path in &paths {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert_inert(path, &page);
    }
    let visitor = site.visitor();
    for path in PUBLIC {
        assert_inert(path, &visitor.get(path).await);
    }
}

#[tokio::test]
async fn every_page_has_the_security_headers() {
    let site = site().await;
    let (_, browser, paths) = hostile(&site).await;
    for path in paths.iter().map(String::as_str).chain(["/nowhere/", "/groups/999999/"]) {
        let headers = browser.get(path).await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn pages_are_for_those_who_are_signed_in() {
    let site = site().await;
    let (_, _, paths) = hostile(&site).await;
    let visitor = site.visitor();
    for path in &paths {
        let page = visitor.get(path).await;
        assert!(page.status == 303 && page.location().starts_with("/login/"), "{path}: {}", page.status);
    }
}

#[tokio::test]
async fn controls_have_names_and_ids_are_unique() {
    let site = site().await;
    let (_, browser, paths) = hostile(&site).await;
    for path in &paths {
        let page = browser.get(path).await;
        let mut ids = BTreeSet::new();
        for element in page.find("[id]") {
            let id = element.value().attr("id").unwrap().to_owned();
            assert!(ids.insert(id.clone()), "{path}: #{id} is used twice");
        }
        let labelled: BTreeSet<&str> =
            page.find("label[for]").iter().filter_map(|label| label.value().attr("for")).collect();
        for field in page.find("input:not([type=hidden]), select, textarea") {
            let attribute = |name| field.value().attr(name);
            let in_label =
                field.ancestors().any(|node| node.value().as_element().is_some_and(|found| found.name() == "label"));
            let by_id = attribute("id").is_some_and(|id| labelled.contains(id));
            assert!(in_label || by_id || attribute("aria-label").is_some(), "{path}: {}", field.html());
        }
        for button in page.find("button, a[href]") {
            let has_text = button.text().any(|text| !text.trim().is_empty());
            assert!(
                has_text || button.value().attr("aria-label").is_some() || button.html().contains("<img"),
                "{path}: {}",
                button.html()
            );
        }
        assert_eq!(page.find("h1").len(), 1, "{path}");
        assert_eq!(page.find("main#main").len(), 1, "{path}");
    }
}

#[tokio::test]
async fn an_error_is_a_page_for_browsers_and_a_problem_for_programs() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let page = browser.get("/groups/999999/").await;
    assert_eq!((page.status.as_u16(), page.text_of("h1")), (404, "Nothing here".to_owned()));
    let page = browser.get("/nowhere/").await;
    assert_eq!((page.status.as_u16(), page.find("form[role=search]").len()), (404, 1));
    let answer = browser.script(axum::http::Method::GET, "/api/users/999999/", "", None).await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}
