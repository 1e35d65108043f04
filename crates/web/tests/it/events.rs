//! Events of groups.

use guildhall_community::{EventId, Members};

use crate::{groups::group, harness::site};

const FIELDS: [(&str, &str); 6] = [
    ("title", "Open workshop & tea"),
    ("starts_at", "2999-03-21T10:00"),
    ("ends_at", "2999-03-21T16:00"),
    ("location", "14 Ropewalk Yard"),
    ("capacity", "1"),
    ("description", "**Bring** somebody"),
];

#[tokio::test]
async fn an_event_is_planned_changed_cancelled_and_deleted() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let group = group(&site, &anna, |_| ()).await;
    let list = format!("/groups/{group}/events/");
    assert_eq!(browser.get(&list).await.text_of(".empty h2"), "No events");
    let form = format!("{list}new/");
    let csrf = browser.csrf().await;
    let with = |fields: &[(&'static str, &'static str)]| {
        let mut all = fields.to_vec();
        all.push(("csrf_token", csrf.clone().leak()));
        all
    };
    let page = browser.post_raw(&form, &with(&[("title", "x"), ("starts_at", "soon"), ("ends_at", "")])).await;
    assert_eq!((page.status.as_u16(), page.text_of("#starts_at-error")), (422, "Enter a date and a time.".to_owned()));
    let early = [("title", "x"), ("starts_at", "2999-03-21T10:00"), ("ends_at", "2999-03-20T10:00")];
    let page = browser.post_raw(&form, &with(&early)).await;
    assert_eq!(page.text_of("#ends_at-error"), "It cannot end before it starts.");
    let page = browser.post_raw(&form, &with(&FIELDS)).await;
    let path = page.location().to_owned();
    let page = browser.follow(&page).await;
    assert_eq!(page.text_of(".page h2"), "Open workshop & tea", "{}", page.text);
    assert!(page.text.contains("<strong>Bring</strong>") && page.text.contains("21 March 2999, 10:00"));
    assert_eq!(browser.get(&list).await.find(".event-row").len(), 1);
    let calendar = browser.get(&format!("{path}calendar/")).await;
    assert!(calendar.text.starts_with("BEGIN:VCALENDAR"), "{}", calendar.text);
    let edit = format!("{path}edit/");
    let page = browser.get(&edit).await;
    assert_eq!(page.find("#starts_at")[0].value().attr("value"), Some("2999-03-21T10:00"));
    let mut changed = FIELDS.to_vec();
    changed[0] = ("title", "Closed workshop");
    assert_eq!(browser.post_raw(&edit, &with(&changed)).await.location(), path);
    browser.fill(&path, &format!("{path}cancel/"), &[]).await;
    let page = browser.get(&path).await;
    assert!(page.text.contains("This event is cancelled.") && page.find("form[action$='/answer/']").is_empty());
    let page = browser.fill(&path, &format!("{path}delete/"), &[]).await;
    assert_eq!(page.location(), list);
    let page = browser.get(&path).await;
    assert_eq!((page.status.as_u16(), page.find(".sidebar").len()), (404, 1), "the navigation stays");
}

#[tokio::test]
async fn members_answer_an_event_and_wait_for_a_place() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, other) = site.signed_in("ben").await;
    let group = group(&site, &anna, |_| ()).await;
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let csrf = browser.csrf().await;
    let mut fields = FIELDS.to_vec();
    fields.push(("csrf_token", &csrf));
    let path = browser.post_raw(&format!("/groups/{group}/events/new/"), &fields).await.location().to_owned();
    assert_eq!(other.get(&format!("/groups/{group}/events/new/")).await.status, 403);
    assert_eq!(other.get(&format!("{path}edit/")).await.status, 403);
    let answer = format!("{path}answer/");
    browser.fill(&path, &answer, &[("answer", "going")]).await;
    other.fill(&path, &answer, &[("answer", "going")]).await;
    let page = other.get(&path).await;
    assert!(page.text.contains("You are on the waiting list"), "{}", page.text);
    assert_eq!(page.find("button[aria-pressed=true]").len(), 1);
    let people = other.get(&format!("{path}people/")).await;
    assert_eq!(people.find("main ul.list li").len(), 1);
    // The answer that was given is withdrawn.
    browser.fill(&path, &answer, &[("answer", "")]).await;
    assert!(!other.get(&path).await.text.contains("You are on the waiting list"), "the free place is theirs");
    let id: i64 = path.trim_matches('/').rsplit('/').next().unwrap().parse().unwrap();
    assert!(
        guildhall_community::Events::event(&site.community.events, Some(ben), EventId(id))
            .await
            .unwrap()
            .my_status
            .is_some()
    );
}
