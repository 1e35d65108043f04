//! Rooms: the list, joining and waiting, the participants, closing.

mod messages;

use guildhall_chat::{
    Hosts, Message, Messages, NewMessage, NewRoom, Participants, Requests, Room, RoomFilter, RoomId, RoomPatch, Rooms,
};
use guildhall_kernel::{Caller, CursorQuery, IfMatch, PageQuery, Roles};

use crate::{
    browser::{Browser, Page},
    harness::{Site, site},
    messages::write,
};

/// A teacher with a browser.
async fn teacher(site: &Site, name: &str) -> (Caller, Browser) {
    let caller = site.user_with(name, Roles { teacher: true, ..Roles::default() }).await;
    let browser = site.visitor();
    browser.sign_in(name).await;
    (caller, browser)
}

async fn open(site: &Site, host: &Caller, others: &[&Caller]) -> RoomId {
    let room = site.chat.open_room(host, NewRoom::named("Den & Co")).await.unwrap().id;
    for other in others {
        site.chat.invite(host, room, other.user).await.unwrap();
    }
    room
}

async fn say(site: &Site, from: &Caller, room: RoomId, text: &str) -> Message {
    site.chat.send(from, room, NewMessage::text(text)).await.unwrap().message
}

async fn card(site: &Site, caller: &Caller, room: RoomId) -> Room {
    site.chat.room(caller, room).await.unwrap()
}

async fn history(site: &Site, caller: &Caller, room: RoomId) -> Vec<Message> {
    site.chat.messages(caller, room, CursorQuery::newest(100)).await.unwrap().results
}

fn first_page() -> PageQuery {
    PageQuery::new(1, 20)
}

fn texts(page: &Page, selector: &str) -> Vec<String> {
    page.find(selector).iter().map(|found| found.text().collect::<String>().trim().to_owned()).collect()
}

#[tokio::test]
async fn teachers_open_rooms() {
    let site = site().await;
    let (anna, browser) = teacher(&site, "anna").await;
    let (_, ben) = site.signed_in("ben").await;
    assert_eq!(browser.get("/rooms/").await.find("a[href='/rooms/new/']").len(), 1);
    let fields = [("name", "Den"), ("description", "Quiet"), ("max_participants", "7"), ("is_listed", "1")];
    let page = browser.fill("/rooms/new/", "/rooms/new/", &fields).await;
    let page = browser.follow(&page).await;
    assert_eq!((page.status.as_u16(), page.text_of("h1")), (200, "Den".to_owned()));
    let room = site.chat.rooms(&anna, RoomFilter::default(), first_page()).await.unwrap().results.remove(0);
    assert!(room.is_listed && !room.auto_approve && !room.allow_file_uploads, "{room:?}");
    assert_eq!((room.max_participants, room.description.as_str()), (7, "Quiet"));
    assert!(ben.get("/rooms/").await.find("a[href='/rooms/new/']").is_empty());
    assert_eq!(ben.get("/rooms/new/").await.status, 403);
}

#[tokio::test]
async fn what_was_entered_for_a_room_is_kept_if_it_is_refused() {
    let site = site().await;
    let (_, browser) = teacher(&site, "anna").await;
    let fields = [("name", ""), ("description", "kept"), ("max_participants", "many")];
    let page = browser.fill("/rooms/new/", "/rooms/new/", &fields).await;
    assert_eq!((page.status.as_u16(), page.text_of("#description")), (422, "kept".to_owned()));
    assert_eq!(page.text_of("#max_participants-error"), "Write a number.");
    let page = browser.fill("/rooms/new/", "/rooms/new/", &[("name", "")]).await;
    assert_eq!((page.status.as_u16(), page.text_of("#name-error")), (422, "Fill this in.".to_owned()));
}

#[tokio::test]
async fn the_list_has_open_rooms_and_closed_ones_that_one_was_in() {
    let site = site().await;
    let (anna, browser) = teacher(&site, "anna").await;
    let (_, ben) = site.signed_in("ben").await;
    let closed = open(&site, &anna, &[]).await;
    site.chat.close_room(&anna, closed).await.unwrap();
    let room = open(&site, &anna, &[]).await;
    let hidden = NewRoom { is_listed: false, ..NewRoom::named("hidden") };
    site.chat.open_room(&anna, hidden).await.unwrap();
    let page = ben.get("/rooms/").await;
    assert_eq!(texts(&page, ".room-list li a.strong"), ["Den & Co"]);
    assert!(page.text_of(".room-list li").contains("1 of 100 participants") && page.find("#rooms-closed").is_empty());
    let page = browser.get("/rooms/").await;
    assert_eq!(texts(&page, ".room-list li a.strong"), ["hidden", "Den & Co"]);
    assert_eq!(page.find(&format!(".room-list a.btn-primary[href='/rooms/{room}/']")).len(), 1);
    assert_eq!(page.find(&format!("section[aria-labelledby=rooms-closed] a[href='/rooms/{closed}/']")).len(), 2);
    let page = browser.get("/rooms/?show=closed").await;
    assert!(page.find(".room-list").is_empty());
    assert!(!page.find(&format!("a[href='/rooms/{closed}/']")).is_empty(), "{}", page.text);
    let home = ben.get("/").await;
    assert_eq!(home.find(&format!("a.chip[href='/rooms/{room}/']")).len(), 1);
    assert_eq!(texts(&home, "section[aria-labelledby=a-rooms] li a"), ["Den & Co"]);
}

#[tokio::test]
async fn somebody_waits_until_the_host_approves_them() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[]).await;
    let (base, waiting) = (format!("/rooms/{room}/"), format!("/rooms/{room}/waiting/"));
    assert_eq!(browser.get(&format!("{base}people/")).await.status, 403);
    let page = browser.fill(&base, &format!("{base}join/"), &[]).await;
    assert_eq!(page.location(), waiting);
    let page = browser.get(&waiting).await;
    assert_eq!(page.text_of("h2"), "Waiting for anna");
    assert!(page.text.contains("<noscript><meta http-equiv=\"refresh\""), "it looks again by itself");
    let again = browser.submit(&page, &format!("{base}join/"), &[]).await;
    assert_eq!(again.location(), waiting, "asking again goes on waiting");
    let page = host.get(&base).await;
    assert_eq!(texts(&page, "#people .asks a.strong"), ["ben"]);
    let request = site.chat.requests(&anna, room, first_page()).await.unwrap().results.remove(0).id;
    let approve = format!("{base}requests/{request}/approve/");
    assert_eq!(host.submit(&page, &approve, &[]).await.location(), base);
    assert!(card(&site, &ben, room).await.is_participant);
    assert_eq!(browser.get(&waiting).await.location(), base);
    assert_eq!(browser.get(&base).await.text_of("#log .system:last-child span"), "ben joined");
}

#[tokio::test]
async fn whoever_is_refused_is_told_when_to_ask_again() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[]).await;
    let base = format!("/rooms/{room}/");
    let request = site.chat.join(&ben, room).await.unwrap().request.id;
    let requests = format!("{base}requests/");
    assert_eq!(browser.get(&requests).await.status, 403);
    let page = host.fill(&requests, &format!("{requests}{request}/deny/"), &[]).await;
    assert_eq!(page.location(), requests);
    assert_eq!(host.get(&requests).await.text_of("h2"), "Nobody waits");
    let page = browser.get(&format!("{base}waiting/")).await;
    assert_eq!(page.location(), base, "{}", page.text);
    let page = browser.follow(&page).await;
    assert_eq!(page.text_of("main [role=status]"), "Your request was refused. You can ask again in 60 seconds.");
    assert!(page.find("form[action$='/join/']").is_empty(), "it would be refused");
    let csrf = browser.csrf().await;
    let page = browser.post_raw(&format!("{base}join/"), &[("csrf_token", &csrf)]).await;
    assert_eq!(page.status, 422);
    assert_eq!(page.text_of("[role=alert]"), "Your request was refused. You can ask again in 60 seconds.");
    site.advance(61);
    let page = browser.get(&base).await;
    assert!(page.find("main [role=status]").is_empty(), "{}", page.text);
    assert!(page.text.contains("Your last request was refused. You can ask again."), "{}", page.text);
    assert_eq!(browser.submit(&page, &format!("{base}join/"), &[]).await.location(), format!("{base}waiting/"));
}

#[tokio::test]
async fn a_request_is_withdrawn() {
    let site = site().await;
    let (anna, _) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[]).await;
    site.chat.join(&ben, room).await.unwrap();
    let (waiting, withdraw) = (format!("/rooms/{room}/waiting/"), format!("/rooms/{room}/withdraw/"));
    let page = browser.get(&waiting).await;
    for _ in 0..2 {
        assert_eq!(browser.submit(&page, &withdraw, &[]).await.location(), "/rooms/");
    }
    assert_eq!(browser.get(&waiting).await.location(), format!("/rooms/{room}/"), "nothing to wait for");
    assert_eq!(site.chat.requests(&anna, room, first_page()).await.unwrap().count, 0);
}

#[tokio::test]
async fn a_room_that_approves_everybody_is_entered_at_once() {
    let site = site().await;
    let (anna, _) = teacher(&site, "anna").await;
    let (_, browser) = site.signed_in("ben").await;
    let new = NewRoom { auto_approve: true, max_participants: 2, ..NewRoom::named("den") };
    let room = site.chat.open_room(&anna, new).await.unwrap().id;
    let page = browser.fill("/rooms/", &format!("/rooms/{room}/join/"), &[]).await;
    assert_eq!(page.location(), format!("/rooms/{room}/"));
    let (_, late) = site.signed_in("carl").await;
    let page = late.get(&format!("/rooms/{room}/")).await;
    assert!(page.text.contains("This room is full") && page.find("form[action$='/join/']").is_empty());
}

#[tokio::test]
async fn the_host_decides_on_the_participants() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[&ben]).await;
    let (base, people) = (format!("/rooms/{room}/"), format!("/rooms/{room}/people/"));
    let action = format!("{people}{}/", ben.user);
    assert!(browser.get(&people).await.find("form[action*='/people/']").is_empty());
    host.fill(&people, &action, &[("action", "mute-10")]).await;
    let page = write(&browser, &base, &[("content", "hi")], None).await;
    assert_eq!(page.text_of("[role=alert]"), "You cannot write in this room just now.");
    host.fill(&people, &action, &[("action", "unmute")]).await;
    host.fill(&people, &action, &[("action", "cohost")]).await;
    assert!(browser.get(&base).await.find("a[href$='/invite/']").len() == 2, "a co-host invites");
    host.fill(&people, &action, &[("action", "member")]).await;
    assert_eq!(host.fill(&people, &action, &[("action", "mute-9")]).await.status, 404);
    host.fill(&people, &action, &[("action", "remove")]).await;
    let page = browser.fill(&base, &format!("{base}join/"), &[]).await;
    assert_eq!(page.status, 422);
    assert_eq!(page.text_of("[role=alert]"), "You were removed from this room. Its host can invite you.");
    let invite = format!("{base}invite/");
    let page = host.get(&format!("{invite}?q=be")).await;
    let page = host.submit(&page, &people, &[("user", &ben.user.to_string())]).await;
    assert_eq!(page.location(), people);
    assert!(card(&site, &ben, room).await.is_participant);
    host.fill(&people, &action, &[("action", "host")]).await;
    assert_eq!(card(&site, &ben, room).await.host.unwrap().id, ben.user);
}

#[tokio::test]
async fn the_host_changes_the_settings() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[&ben]).await;
    let settings = format!("/rooms/{room}/settings/");
    assert_eq!(browser.get(&settings).await.status, 403);
    let page = host.get(&settings).await;
    assert_eq!(page.find("#name")[0].value().attr("value"), Some("Den & Co"));
    let page = host.submit(&page, &settings, &[("name", "Shed"), ("max_participants", "1")]).await;
    assert_eq!(page.status, 422, "{}", page.text);
    assert!(page.find("#max_participants-error").len() == 1);
    assert_eq!(page.find("#name")[0].value().attr("value"), Some("Shed"));
    let page = host.submit(&page, &settings, &[("name", "Shed"), ("auto_approve", "1")]).await;
    assert_eq!(page.location(), format!("/rooms/{room}/"));
    let changed = card(&site, &anna, room).await;
    assert!(changed.name == "Shed" && changed.auto_approve && !changed.is_listed, "{changed:?}");
}

#[tokio::test]
async fn a_closed_room_is_read_and_not_written() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let room = open(&site, &anna, &[&ben]).await;
    say(&site, &ben, room, "one").await;
    let (base, close) = (format!("/rooms/{room}/"), format!("/rooms/{room}/close/"));
    assert_eq!(browser.get(&close).await.status, 403);
    assert_eq!(host.fill(&close, &close, &[]).await.location(), base);
    let page = browser.get(&base).await;
    assert_eq!((page.status.as_u16(), texts(&page, "#log .msg-words")), (200, vec!["one".to_owned()]));
    assert!(page.text_of(".conn-closed").contains("2 people were here"), "{}", page.text_of(".conn-closed"));
    assert!(page.find("#composer, body[data-room]").is_empty());
    let page = write(&browser, &base, &[("content", "two")], None).await;
    assert_eq!((page.status.as_u16(), page.find("#composer").len()), (422, 0));
    let (_, outsider) = site.signed_in("carl").await;
    assert_eq!(outsider.get(&base).await.status, 404);
}

#[tokio::test]
async fn the_host_leaves_a_room_to_somebody() {
    let site = site().await;
    let (anna, host) = teacher(&site, "anna").await;
    let (ben, browser) = site.signed_in("ben").await;
    let (carl, other) = site.signed_in("carl").await;
    let room = open(&site, &anna, &[&ben, &carl]).await;
    site.chat.add_cohost(&anna, room, carl.user).await.unwrap();
    let (close, leave) = (format!("/rooms/{room}/close/"), format!("/rooms/{room}/leave/"));
    let page = host.get(&close).await;
    assert_eq!(texts(&page, "#new_host_id option"), ["carl", "ben"], "co-hosts first");
    let page = host.submit(&page, &leave, &[("new_host_id", &ben.user.to_string())]).await;
    assert_eq!(page.location(), "/rooms/");
    let room = card(&site, &ben, room).await;
    assert!(room.is_active && room.host.unwrap().id == ben.user);
    other.fill(&format!("/rooms/{}/", room.id), &leave, &[]).await;
    assert_eq!(browser.get(&format!("/rooms/{}/people/", room.id)).await.find("[data-person]").len(), 1);
    let left = history(&site, &ben, room.id).await;
    assert_eq!(left[0].event.as_deref(), Some("member_left"));
}

#[tokio::test]
async fn notifications_lead_to_rooms() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    assert_eq!(browser.get("/chat/7/").await.location(), "/rooms/7/");
}
