//! Direct messages.

use guildhall_kernel::CursorQuery;
use guildhall_messaging::{
    Changes, ChosenPreferences, Conversations, DeleteFor, Groups, InboxFilter, Messages, NewGroup, NewMessage,
    PreferencesPatch, Reading, Target,
};

use crate::harness::{Site, site};

async fn send(
    site: &Site,
    from: &guildhall_kernel::Caller,
    to: &guildhall_kernel::Caller,
    text: &str,
) -> guildhall_messaging::Message {
    site.messaging.send(from, Target::User(to.user), NewMessage::text(text)).await.unwrap().message
}

/// Sends the form of a conversation, which can carry files.
pub(crate) async fn write(
    browser: &crate::browser::Browser,
    path: &str,
    fields: &[(&str, &str)],
    file: Option<&str>,
) -> crate::browser::Page {
    let files: Vec<_> = file.into_iter().map(|content| ("files", "list.txt", content)).collect();
    browser.upload(path, fields, &files).await
}

#[tokio::test]
async fn a_conversation_is_read_and_answered() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, reader) = site.signed_in("ben").await;
    send(&site, &anna, &ben, "See https://example.org/?a=1&b=2 <now>").await;
    let inbox = reader.get("/messaging/").await;
    assert_eq!(inbox.text_of(".talk-unread .name"), "anna");
    assert_eq!(inbox.find("[data-count=messages]:not([hidden])").len(), 2);
    let path = format!("/messaging/conversation/{}/", anna.user);
    let page = reader.get(&path).await;
    assert_eq!(page.text_of(".unread-line"), "1 new message");
    assert_eq!(page.text_of(".bubble"), "See https://example.org/?a=1&b=2 <now>");
    assert_eq!(page.find(".bubble a")[0].value().attr("href"), Some("https://example.org/?a=1&b=2"));
    assert_eq!(site.messaging.unread_count(&ben).await.unwrap(), 0, "whoever opens the page reads it");
    assert!(reader.get(&path).await.find(".unread-line").is_empty());
    let sent = write(&reader, &path, &[("content", "Yes"), ("message_type", "question")], None).await;
    assert_eq!((sent.status.as_u16(), sent.location()), (303, path.as_str()), "{}", sent.text);
    let page = browser.get(&format!("/messaging/conversation/{}/", ben.user)).await;
    assert_eq!(page.find("#log .bubble-row").len(), 2);
    assert_eq!(page.text_of(".bubble-row:not(.mine) .badge"), "Question");
}

#[tokio::test]
async fn older_messages_have_a_page_and_a_hit_is_shown_among_its_neighbours() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let first = send(&site, &ben, &anna, "needle").await;
    for number in 2..=60 {
        send(&site, &ben, &anna, &format!("message {number}")).await;
    }
    let path = format!("/messaging/conversation/{}/", ben.user);
    let hit = format!("#msg-{}", first.id);
    let search = browser.get("/search/?q=needle").await;
    let link = search.find(&format!("a[href*='{hit}']"))[0].value().attr("href").unwrap().to_owned();
    let page = browser.get(link.split('#').next().unwrap()).await;
    assert_eq!(page.find(&hit).len(), 1, "{}", page.text);
    assert!(page.find("#composer").is_empty() && page.find(&format!(".past-foot a[href='{path}']")).len() == 1);
    assert_eq!(site.messaging.unread_count(&anna).await.unwrap(), 60, "the newest were not shown");

    let page = browser.get(&path).await;
    assert_eq!((page.find("#log .bubble-row").len(), page.find("#unread").len()), (50, 1), "all of them are unread");
    let older = page.find("#older a")[0].value().attr("href").unwrap().to_owned();
    let page = browser.get(&older).await;
    assert_eq!((page.find("#log .bubble-row").len(), page.find(&hit).len()), (10, 1), "{}", page.text);
    assert!(page.text.contains("<html"), "a page, not a part of one");
}

#[tokio::test]
async fn unread_conversations_are_found_behind_read_ones() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    send(&site, &ben, &anna, "unread").await;
    for number in 0..31 {
        let other = site.user(&format!("person{number}")).await;
        send(&site, &anna, &other, "read").await;
    }
    let page = browser.get("/messaging/?kind=unread").await;
    assert_eq!(page.find("#inbox a[href^='/messaging/conversation/']").len(), 1, "{}", page.text);
    assert!(browser.get("/").await.text_of("[aria-labelledby=a-unread]").contains("ben"));
}

#[tokio::test]
async fn a_form_that_is_sent_twice_sends_one_message() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let path = format!("/messaging/conversation/{}/", ben.user);
    for _ in 0..2 {
        write(&browser, &path, &[("content", "Hi"), ("client_id", "c-1")], None).await;
    }
    let history = site.messaging.messages_with(&anna, ben.user, CursorQuery::newest(10)).await.unwrap();
    assert_eq!(history.messages.len(), 1);
}

#[tokio::test]
async fn quotes_are_in_the_rows_that_scripts_get() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let first = send(&site, &ben, &anna, "the question").await;
    let second = send(&site, &ben, &anna, "between").await;
    let path = format!("/messaging/conversation/{}/", ben.user);
    let fields = [("content", "the answer"), ("reply_to", &first.id.to_string())];
    write(&browser, &path, &fields, None).await;
    let part = browser.part(&format!("{path}rows/?after={}", second.id), "ol#log").await;
    let texts = |page: &crate::browser::Page| -> Vec<String> {
        page.find(".quote span").iter().map(|span| span.text().collect()).collect()
    };
    assert_eq!(texts(&part), ["ben", "the question"], "{}", part.text);
    let page = format!("/messaging/{}/messages/{}/", first.conversation_id, first.id);
    assert_eq!(part.find(".quote")[0].value().attr("href"), Some(page.as_str()), "it is on another page");
    let answer = part.find("li[data-id]")[0].value().attr("data-id").unwrap().to_owned();
    let page = format!("/messaging/{}/messages/{answer}/", first.conversation_id);
    assert_eq!(texts(&browser.part(&page, &format!("li#msg-{answer}")).await), ["ben", "the question"]);
}

#[tokio::test]
async fn a_quote_of_a_deleted_message_leads_nowhere() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let path = format!("/messaging/conversation/{}/", ben.user);
    let (mine, his) = (send(&site, &ben, &anna, "hidden").await, send(&site, &ben, &anna, "deleted").await);
    for message in [&mine, &his] {
        write(&browser, &path, &[("content", "answer"), ("reply_to", &message.id.to_string())], None).await;
    }
    site.messaging.delete(&anna, mine.conversation_id, mine.id, DeleteFor::Me).await.unwrap();
    site.messaging.delete(&ben, his.conversation_id, his.id, DeleteFor::Everyone).await.unwrap();
    let page = browser.get(&path).await;
    let quotes: Vec<(&str, String)> = page
        .find(".quote")
        .iter()
        .map(|quote| {
            (quote.value().name(), quote.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected = [("p", "An earlier message".to_owned()), ("p", "ben This message was deleted".to_owned())];
    assert_eq!(quotes, expected, "{}", page.text);
}

#[tokio::test]
async fn whoever_has_left_a_group_keeps_their_name() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let new = NewGroup { name: "readers".to_owned(), user_ids: vec![ben.user] };
    let group = site.messaging.create_group(&anna, new).await.unwrap().conversation_id;
    site.messaging.send(&ben, Target::Conversation(group), NewMessage::text("Bye")).await.unwrap();
    site.messaging.leave(&ben, group).await.unwrap();
    let page = browser.get(&format!("/messaging/{group}/")).await;
    assert!(page.text_of(".bubble-row:not(.mine) .bubble-col").starts_with("ben"), "{}", page.text);
    assert!(!page.text.contains("deleted user"), "{}", page.text);
}

#[tokio::test]
async fn files_are_attached() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let path = format!("/messaging/conversation/{}/", ben.user);
    let page = write(&browser, &path, &[("content", "")], Some("one, two")).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert!(browser.get(&path).await.text_of(".file").contains("list.txt"));
}

#[tokio::test]
async fn what_was_written_is_kept_if_it_cannot_be_sent() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, other) = site.signed_in("ben").await;
    send(&site, &anna, &ben, "Hi").await;
    other.fill(&format!("/people/{}/", anna.user), &format!("/people/{}/block/", anna.user), &[]).await;
    let path = format!("/messaging/conversation/{}/", ben.user);
    let page = write(&browser, &path, &[("content", "my <text>")], None).await;
    assert_eq!((page.status.as_u16(), page.text_of("textarea")), (422, "my <text>".to_owned()));
    assert!(
        page.text_of("[role=alert]").contains("This person cannot be written to."),
        "{}",
        page.text_of("[role=alert]")
    );
    let fields = [("content", "my <text>"), ("script", "1")];
    let answer = write(&browser, &path, &fields, None).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("\"reason\":\"This person cannot be written to."), "{}", answer.text);
    let unblock = format!("/people/{}/unblock/", anna.user);
    assert_eq!(other.fill("/account/blocked/", &unblock, &[]).await.status, 303);
    assert_eq!(write(&browser, &path, &[("content", "again")], None).await.status, 303);
}

#[tokio::test]
async fn a_message_is_edited_reacted_to_answered_and_deleted() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, other) = site.signed_in("ben").await;
    let message = send(&site, &anna, &ben, "Frist").await;
    let path = format!("/messaging/{}/messages/{}/", message.conversation_id, message.id);
    let page = browser.fill(&path, &format!("{path}edit/"), &[("content", "First")]).await;
    assert_eq!(page.location(), format!("/messaging/conversation/{}/#msg-{}", ben.user, message.id));
    let page = other.get(&path).await;
    assert!(page.find("form[action$='/edit/']").is_empty(), "it is not his");
    assert!(page.text.contains("Frist"), "the earlier version is shown");
    other.submit(&page, &format!("{path}react/"), &[("reaction", "👍")]).await;
    let conversation = format!("/messaging/conversation/{}/", anna.user);
    assert_eq!(other.get(&conversation).await.find(".reaction[aria-pressed=true]").len(), 1);
    let reply = other.get(&format!("{conversation}?reply_to={}", message.id)).await;
    assert_eq!(reply.find("input[name=reply_to]")[0].value().attr("value"), Some(message.id.to_string().as_str()));
    write(&other, &conversation, &[("content", "Second"), ("reply_to", &message.id.to_string())], None).await;
    assert!(other.get(&conversation).await.text_of(".quote").contains("First"));
    let page = browser.get(&path).await;
    browser.submit(&page, &format!("{path}delete/"), &[("for", "everyone")]).await;
    assert_eq!(other.get(&conversation).await.text_of(".msg-gone"), "This message was deleted");
}

#[tokio::test]
async fn older_and_newer_messages_are_parts_of_the_page() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let mut last = None;
    for number in 0..60 {
        last = Some(send(&site, &anna, &ben, &format!("message {number}")).await.id);
    }
    let path = format!("/messaging/conversation/{}/", ben.user);
    let page = browser.get(&path).await;
    assert_eq!(page.find("#log .bubble-row").len(), 50);
    let older = page.find("#older a")[0].value().attr("hx-get").unwrap().to_owned();
    let part = browser.part(&older, "li#older").await;
    assert!(part.text.matches("class=\"bubble-row").count() == 10 && !part.text.contains("<html"), "{}", part.text);
    let last = last.unwrap();
    assert_eq!(
        browser.part(&format!("{path}rows/?after={last}"), "ol#log").await.text.matches("bubble-row").count(),
        0
    );
    let newest = browser.part(&format!("{path}rows/?after={}", last.0 - 1), "ol#log").await;
    assert!(newest.text.contains("message 59"), "{}", newest.text);
}

#[tokio::test]
async fn old_addresses_lead_to_the_other_person() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, other) = site.signed_in("ben").await;
    let id = send(&site, &anna, &ben, "Hi").await.conversation_id;
    assert_eq!(
        browser.get(&format!("/messaging/{id}/")).await.location(),
        format!("/messaging/conversation/{}/", ben.user)
    );
    assert_eq!(
        other.get(&format!("/messaging/{id}/")).await.location(),
        format!("/messaging/conversation/{}/", anna.user)
    );
    let (_, outsider) = site.signed_in("carl").await;
    assert_eq!(outsider.get(&format!("/messaging/{id}/")).await.status, 404);
    assert_eq!(outsider.get("/messaging/conversation/999999/").await.status, 404);
}

#[tokio::test]
async fn a_group_has_a_page_that_names_the_senders() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, other) = site.signed_in("ben").await;
    let new = NewGroup { name: "Bench".into(), user_ids: vec![ben.user] };
    let id = site.messaging.create_group(&anna, new).await.unwrap().conversation_id;
    let path = format!("/messaging/{id}/");
    assert_eq!(write(&browser, &path, &[("content", "Hello all")], None).await.status, 303);
    let page = other.get(&path).await;
    assert_eq!(page.text_of("h1"), "Bench");
    assert!(page.text_of(".bubble-row:not(.mine)").contains("anna"), "{}", page.text_of(".bubble-row"));
}

#[tokio::test]
async fn a_request_is_accepted_or_declined() {
    let site = site().await;
    let anna = site.user("anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let patch = PreferencesPatch { accepts_requests_only: Some(true), ..PreferencesPatch::default() };
    site.messaging.change_preferences(&ben, patch).await.unwrap();
    let id = send(&site, &anna, &ben, "May I?").await.conversation_id;
    let path = format!("/messaging/conversation/{}/", anna.user);
    let page = browser.get(&path).await;
    assert!(page.text.contains("would like to write to you"), "{}", page.text);
    assert_eq!(browser.submit(&page, &format!("/messaging/{id}/accept/"), &[]).await.status, 303);
    assert!(!browser.get(&path).await.text.contains("would like to write to you"));
}

#[tokio::test]
async fn a_conversation_is_muted_and_archived_from_its_menu() {
    let site = site().await;
    let anna = site.user("anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let id = send(&site, &anna, &ben, "Hi").await.conversation_id;
    let (path, action) = (format!("/messaging/conversation/{}/", anna.user), format!("/messaging/{id}/state/"));
    for what in ["mute", "archive"] {
        browser.fill(&path, &action, &[("action", what)]).await;
    }
    let filter = InboxFilter { archived: true, ..InboxFilter::default() };
    let archived = site.messaging.conversations(&ben, filter, CursorQuery::newest(10)).await.unwrap().results;
    assert!(archived.len() == 1 && archived[0].muted_until.is_some());
    assert_eq!(browser.get("/messaging/?kind=archived").await.find(".talk").len(), 1);
    assert_eq!(browser.fill(&path, &action, &[("action", "nonsense")]).await.status, 404);
}

#[tokio::test]
async fn people_to_write_to_are_found_by_the_begin_of_their_name() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let ben = site.user("benedict").await;
    let page = browser.get("/messaging/new/?q=bene").await;
    assert_eq!(
        page.find("#results a")[0].value().attr("href"),
        Some(format!("/messaging/conversation/{}/", ben.user).as_str())
    );
    assert!(browser.get("/messaging/new/?q=zzz").await.text.contains("Nothing found"));
}
