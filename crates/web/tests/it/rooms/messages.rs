//! Messages in rooms.

use super::*;

#[tokio::test]
async fn messages_are_read_and_answered() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[&ben]).await;
    let base = format!("/rooms/{room}/");
    let first = say(&site, &anna, room, "See https://example.org/?a=1&b=2 <now>").await;
    say(&site, &anna, room, "and").await;
    let page = browser.get(&base).await;
    assert_eq!(page.text_of("#unread"), "3 new messages", "the own joining is one");
    assert_eq!(texts(&page, "#log .msg-words"), ["See https://example.org/?a=1&b=2 <now>", "and"]);
    assert_eq!(page.find("#log .msg-words a")[0].value().attr("href"), Some("https://example.org/?a=1&b=2"));
    assert_eq!(page.find("#log .msg.first").len(), 1, "messages of one person are grouped");
    assert_eq!(page.text_of(".msg-head .badge"), "Host");
    assert_eq!(card(&site, &ben, room).await.unread_count, Some(0), "whoever opens the page reads it");
    let page = browser.get(&format!("{base}?reply_to={}", first.id)).await;
    assert!(page.text_of("#reply-text").starts_with("See https"));
    let fields = [("content", "Yes"), ("reply_to", &first.id.to_string()), ("client_id", "c-1")];
    for _ in 0..2 {
        let sent = write(&browser, &base, &fields, None).await;
        assert_eq!((sent.status.as_u16(), sent.location()), (303, base.as_str()), "{}", sent.text);
    }
    let page = host.get(&base).await;
    assert_eq!(page.find("#log .msg").len(), 3, "a form that is sent twice sends one message");
    assert_eq!(page.find(".msg .quote")[0].value().attr("href"), Some(format!("#msg-{}", first.id).as_str()));
}

#[tokio::test]
async fn scripts_get_what_is_new_as_rows() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let room = open(&site, &anna, &[]).await;
    let first = say(&site, &anna, room, "one").await;
    say(&site, &anna, room, "two").await;
    let rows = format!("/rooms/{room}/rows/?after={}", first.seq.unwrap());
    let part = host.part(&rows, "ol#log").await;
    assert_eq!(texts(&part, ".msg-words"), ["two"]);
    assert!(part.find(".first, .day").is_empty(), "it continues the group: {}", part.text);
    let message = format!("/rooms/{room}/messages/{}/", first.id);
    let part = host.part(&message, &format!("li#msg-{}", first.id)).await;
    assert!(part.find("h1").is_empty() && texts(&part, ".msg-words") == ["one"]);
    let part = host.part(&format!("/rooms/{room}/people/"), "aside#people").await;
    assert!(part.find("h1").is_empty() && part.find("aside#people[data-requests='0']").len() == 1);
    let answer = write(&host, &format!("/rooms/{room}/"), &[("content", "three"), ("script", "1")], None).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn quotes_are_in_the_rows_that_scripts_get() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let room = open(&site, &anna, &[]).await;
    let first = say(&site, &anna, room, "the question").await;
    let second = say(&site, &anna, room, "between").await;
    let base = format!("/rooms/{room}/");
    let fields = [("content", "the answer"), ("reply_to", &first.id.to_string())];
    write(&host, &base, &fields, None).await;
    let part = host.part(&format!("{base}rows/?after={}", second.seq.unwrap()), "ol#log").await;
    assert_eq!(texts(&part, ".quote span"), ["anna", "the question"], "{}", part.text);
    let quote = part.find(".quote")[0].value();
    assert_eq!(quote.attr("href"), Some(format!("{base}messages/{}/", first.id).as_str()), "it is on another page");
    let answer = history(&site, &anna, room).await.into_iter().find(|found| found.content == "the answer").unwrap().id;
    let part = host.part(&format!("{base}messages/{answer}/"), &format!("li#msg-{answer}")).await;
    assert_eq!(texts(&part, ".quote span"), ["anna", "the question"], "{}", part.text);
}

#[tokio::test]
async fn scripts_get_the_reason_of_a_refusal() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let room = open(&site, &anna, &[]).await;
    let fields = [("content", ""), ("script", "1")];
    let answer = write(&host, &format!("/rooms/{room}/"), &fields, None).await;
    let body: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((answer.status.as_u16(), &body["reason"]), (400, &"Fill this in.".into()));
}

#[tokio::test]
async fn older_messages_have_an_address() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let room = open(&site, &anna, &[]).await;
    for number in 0..60 {
        say(&site, &anna, room, &format!("{number}")).await;
    }
    let page = host.get(&format!("/rooms/{room}/")).await;
    assert_eq!(texts(&page, "#log .msg-words").first().map(String::as_str), Some("10"));
    let link = page.find("#older a")[0];
    let page = host.get(link.value().attr("href").unwrap()).await;
    assert_eq!(texts(&page, "#log .msg-words").len(), 10);
    assert!(page.find("#composer, body[data-base]").is_empty(), "the past is not followed");
    let part = host.part(link.value().attr("hx-get").unwrap(), "li#older").await;
    assert_eq!(texts(&part, ".msg-words").len(), 10);
}

#[tokio::test]
async fn files_are_sent_and_fetched() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let room = open(&site, &anna, &[]).await;
    let base = format!("/rooms/{room}/");
    assert_eq!(write(&host, &base, &[("content", "one\r\ntwo")], Some("one, two")).await.status, 303);
    assert_eq!(history(&site, &anna, room).await[0].content, "one\ntwo", "browsers send line breaks as CR LF");
    let page = host.get(&base).await;
    assert!(page.text_of(".file").contains("list.txt"));
    let file = host.get(page.find("a.file")[0].value().attr("href").unwrap()).await;
    assert!(file.status == 303 && file.location().contains("/api/files/"), "{}", file.location());
    let patch = RoomPatch { allow_file_uploads: Some(false), ..RoomPatch::default() };
    site.chat.change_room(&anna, room, patch, IfMatch::default()).await.unwrap();
    assert!(host.get(&base).await.find("#files").is_empty());
    let page = write(&host, &base, &[("content", "with")], Some("x")).await;
    assert_eq!((page.status.as_u16(), page.text_of("textarea")), (422, "with".to_owned()));
    assert_eq!(page.text_of("[role=alert]"), "This room does not allow files.");
}

#[tokio::test]
async fn slow_mode_keeps_what_was_written() {
    let site = site().await;
    let (anna, _) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[&ben]).await;
    let patch = RoomPatch { slow_mode_seconds: Some(30), ..RoomPatch::default() };
    site.chat.change_room(&anna, room, patch, IfMatch::default()).await.unwrap();
    say(&site, &ben, room, "one").await;
    let page = write(&browser, &format!("/rooms/{room}/"), &[("content", "two <b>")], None).await;
    assert_eq!((page.status.as_u16(), page.text_of("textarea")), (422, "two <b>".to_owned()));
    assert!(page.text_of("[role=alert]").contains("in 30 seconds"), "{}", page.text_of("[role=alert]"));
}

#[tokio::test]
async fn a_message_is_edited_reacted_to_pinned_and_deleted() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[&ben]).await;
    let id = say(&site, &ben, room, "one").await.id;
    let (base, path) = (format!("/rooms/{room}/"), format!("/rooms/{room}/messages/{id}/"));
    let page = browser.fill(&path, &format!("{path}edit/"), &[("content", "")]).await;
    assert_eq!((page.status.as_u16(), page.text_of("#content-error")), (422, "Fill this in.".to_owned()));
    let page = browser.fill(&path, &format!("{path}edit/"), &[("content", "two")]).await;
    assert_eq!(page.location(), format!("{base}#msg-{id}"));
    assert_eq!(texts(&browser.get(&path).await, "section[aria-labelledby=mv] li p[dir]"), ["one"]);
    host.fill(&path, &format!("{path}react/"), &[("reaction", "👍")]).await;
    assert_eq!(host.get(&base).await.find(".reaction[aria-pressed=true]").len(), 1);
    host.fill(&path, &format!("{path}react/"), &[("reaction", "👍")]).await;
    assert!(host.get(&base).await.find(".reaction").is_empty());
    let page = browser.get(&path).await;
    assert!(page.find(&format!("form[action='{path}pin/']")).is_empty(), "only hosts pin");
    host.fill(&path, &format!("{path}pin/"), &[]).await;
    assert_eq!(texts(&browser.get(&base).await, "section[aria-labelledby=room-pins] a"), ["two"]);
    host.fill(&path, &format!("{path}pin/"), &[("unpin", "1")]).await;
    assert!(browser.get(&base).await.find("#room-pins").is_empty());
    host.fill(&path, &format!("{path}delete/"), &[]).await;
    assert_eq!(browser.get(&base).await.text_of(".msg-gone"), "This message was deleted");
}

#[tokio::test]
async fn messages_are_found_in_their_room() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let room = open(&site, &anna, &[]).await;
    let found = say(&site, &anna, room, "a green kiln").await;
    say(&site, &anna, room, "another").await;
    let search = format!("/rooms/{room}/search/");
    let page = host.get(&format!("{search}?q=gree")).await;
    let link = page.find("#results li a")[0].value().attr("href").unwrap().to_owned();
    assert_eq!(link, format!("/rooms/{room}/?around={}#msg-{}", found.seq.unwrap(), found.id));
    let page = host.get(link.split('#').next().unwrap()).await;
    assert_eq!(page.find(&format!("#msg-{}", found.id)).len(), 1);
    assert!(host.get(&format!("{search}?q=zzz")).await.text.contains("Nothing found"));
}
