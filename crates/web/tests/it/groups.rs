//! Groups: the directory, joining, moderating, settings, deleting.

use guildhall_community::{GroupId, Groups, Members, NewGroup, NewPost, Posts};
use guildhall_kernel::Caller;

use crate::{
    browser::Browser,
    harness::{Site, site},
};

#[tokio::test]
async fn moderators_decide_reports() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, other) = site.signed_in("ben").await;
    let id = group(&site, &anna, |_| ()).await;
    site.community.groups.join(&ben, id, None, String::new()).await.unwrap();
    let new = NewPost { content: "Buy now".into(), group: Some(id), ..NewPost::default() };
    let post = site.community.posts.create_post(&ben, new).await.unwrap().id;
    let fields = [("content", "Cheap"), ("csrf_token", &other.csrf().await)];
    let page = other.post_raw(&format!("/posts/{post}/comments/"), &fields).await;
    let comment = format!("/comments/{}/", page.location().split("#comment-").nth(1).unwrap());
    let report = format!("{comment}report/");
    let page = browser.fill(&comment, &report, &[("reason", "")]).await;
    assert_eq!((page.status.as_u16(), page.find("#reason-error").len()), (422, 1), "{}", page.text);
    assert_eq!(browser.fill(&comment, &report, &[("reason", "an advert")]).await.location(), comment);
    browser.fill(&format!("/posts/{post}/"), &format!("/posts/{post}/report/"), &[("reason", "spam <b>")]).await;
    let path = format!("/groups/{id}/reports/");
    assert_eq!(other.get(&path).await.status, 403);
    let page = browser.get(&path).await;
    assert_eq!(page.find("main .list > li").len(), 2, "{}", page.text);
    let action = |page: &crate::browser::Page| {
        page.find(".asks form")[0].value().attr("action").map(str::to_owned).unwrap_or_default()
    };
    for verdict in ["dismiss", "remove"] {
        let page = browser.get(&path).await;
        assert_eq!(browser.submit(&page, &action(&page), &[("verdict", verdict)]).await.location(), path);
    }
    assert_eq!(browser.get(&path).await.text_of(".empty h2"), "No open reports");
}

/// A group of a user.
pub(crate) async fn group(site: &Site, owner: &Caller, change: impl FnOnce(&mut NewGroup)) -> GroupId {
    let mut new = NewGroup { name: "Print & Co".into(), category: "craft".into(), ..NewGroup::default() };
    change(&mut new);
    site.community.groups.create_group(owner, new).await.unwrap().id
}

#[tokio::test]
async fn a_group_is_founded_with_a_form() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let fields = [("name", "Den"), ("description", "Quiet"), ("category", "craft"), ("visibility", "hidden")];
    let page = browser.fill("/groups/new/", "/groups/new/", &fields).await;
    let page = browser.follow(&page).await;
    assert!(page.status == 200 && page.text_of(".group-id").contains("Private"), "{}", page.text_of(".group-id"));
    let page = browser.fill("/groups/new/", "/groups/new/", &[("name", ""), ("description", "kept")]).await;
    assert_eq!((page.status.as_u16(), page.text_of("#description")), (422, "kept".to_owned()));
    assert_eq!(page.text_of("#name-error"), "Fill this in.");
}

#[tokio::test]
async fn the_directory_lists_own_and_other_groups() {
    let site = site().await;
    let (anna, _) = site.signed_in("anna").await;
    let (_, ben) = site.signed_in("ben").await;
    let id = group(&site, &anna, |_| ()).await;
    let page = ben.get("/groups/").await;
    assert_eq!(page.find(".group-card").len(), 1);
    assert!(ben.get("/groups/?q=zzz").await.text.contains("Nothing found"));
    assert_eq!(ben.get("/groups/?category=craft").await.find(".group-card").len(), 1);
    let page = ben.submit(&page, &format!("/groups/{id}/join/"), &[]).await;
    assert_eq!(page.location(), format!("/groups/{id}/"));
    assert_eq!(ben.get("/groups/").await.find(".group-rows li").len(), 1);
    let page = ben.fill(&format!("/groups/{id}/"), &format!("/groups/{id}/leave/"), &[]).await;
    assert_eq!(page.location(), "/groups/");
    assert_eq!(ben.get("/groups/").await.find(".group-rows li").len(), 0);
}

#[tokio::test]
async fn a_request_to_join_a_private_group_is_approved() {
    let site = site().await;
    let (anna, owner) = site.signed_in("anna").await;
    let (_, ben) = site.signed_in("ben").await;
    let id = group(&site, &anna, |new| (new.is_private, new.is_listed) = (true, true)).await;
    let (path, requests) = (format!("/groups/{id}/"), format!("/groups/{id}/requests/"));
    let page = ben.get(&path).await;
    assert!(page.find("article.post").is_empty() && page.text.contains("Ask to join"));
    assert_eq!(ben.get(&requests).await.status, 403);
    ben.submit(&page, &format!("{path}join/"), &[("note", "I ran a <Heidelberg>")]).await;
    let page = owner.get(&requests).await;
    assert!(page.text_of(".asks").contains("I ran a <Heidelberg>"), "{}", page.text);
    let action = page.find("form[action$='/approve/']")[0].value().attr("action").unwrap().to_owned();
    assert_eq!(owner.submit(&page, &action, &[]).await.location(), requests);
    assert!(ben.get(&path).await.text.contains("Leave the group"));
    assert!(owner.get(&requests).await.text.contains("Nobody waits"));
}

#[tokio::test]
async fn moderators_promote_remove_and_ban_members() {
    let site = site().await;
    let (anna, owner) = site.signed_in("anna").await;
    let (ben, member) = site.signed_in("ben").await;
    let id = group(&site, &anna, |_| ()).await;
    site.community.groups.join(&ben, id, None, String::new()).await.unwrap();
    let path = format!("/groups/{id}/members/");
    assert!(member.get(&path).await.find("form[action$='/remove/']").is_empty(), "members do not moderate");
    let action = |what: &str| format!("/groups/{id}/members/{}/{what}/", ben.user);
    owner.fill(&path, &action("promote"), &[]).await;
    assert!(owner.get(&path).await.text.contains("Moderator"));
    owner.fill(&path, &action("demote"), &[]).await;
    owner.fill(&path, &action("ban"), &[]).await;
    let page = member.fill(&format!("/groups/{id}/"), &format!("/groups/{id}/join/"), &[]).await;
    assert!(page.status == 403 && page.text.contains("You cannot join this group."), "{}", page.text);
}

#[tokio::test]
async fn an_invite_is_shown_once_and_accepted_on_its_page() {
    let site = site().await;
    let (anna, owner) = site.signed_in("anna").await;
    let (_, ben) = site.signed_in("ben").await;
    let id = group(&site, &anna, |new| new.is_private = true).await;
    let path = format!("/groups/{id}/invites/");
    let page = owner.fill(&path, &path, &[("whom", "")]).await;
    let url = page.find("input[readonly]")[0].value().attr("value").unwrap().to_owned();
    assert!(!owner.get(&path).await.text.contains(&url));
    let link = url.strip_prefix("https://guild.example.org").unwrap().to_owned();
    let visitor = site.visitor().get(&link).await;
    assert!(visitor.status == 200 && visitor.text.contains("Sign in to accept"), "{}", visitor.text);
    let page = accept(&ben, &link).await;
    assert_eq!((page.status.as_u16(), page.location()), (303, format!("/groups/{id}/").as_str()), "{}", page.text);
    let page = owner.fill(&path, &path, &[("whom", "@nobody")]).await;
    assert_eq!(
        (page.status.as_u16(), page.text_of("#whom-error")),
        (422, "There is nobody with this name.".to_owned())
    );
    let page = owner.get(&path).await;
    let action = page.find("form[action$='/revoke/']")[0].value().attr("action").unwrap().to_owned();
    owner.submit(&page, &action, &[]).await;
    let (_, carl) = site.signed_in("carl").await;
    let page = accept(&carl, &link).await;
    assert_eq!(page.text_of("h1"), "This invitation no longer works");
}

/// Presses the button on the page of an invite.
async fn accept(browser: &Browser, link: &str) -> crate::browser::Page {
    let page = browser.get(link).await;
    let csrf = page.find("input[name=csrf_token]")[0].value().attr("value").unwrap().to_owned();
    browser.post_raw(link, &[("csrf_token", &csrf)]).await
}

#[tokio::test]
async fn the_settings_are_for_moderators_and_keep_what_was_entered() {
    let site = site().await;
    let (anna, owner) = site.signed_in("anna").await;
    let (ben, member) = site.signed_in("ben").await;
    let id = group(&site, &anna, |_| ()).await;
    site.community.groups.join(&ben, id, None, String::new()).await.unwrap();
    let path = format!("/groups/{id}/settings/");
    assert_eq!(member.get(&path).await.status, 403);
    let fields = [("name", "Type"), ("posting", "moderators"), ("max_members", "7"), ("visibility", "listed")];
    assert_eq!(owner.fill(&path, &path, &fields).await.status, 303);
    let page = owner.get(&path).await;
    assert_eq!(page.find("#name")[0].value().attr("value"), Some("Type"));
    assert_eq!(page.find("input[name=visibility][checked]")[0].value().attr("value"), Some("listed"));
    let page = owner.fill(&path, &path, &[("name", ""), ("description", "kept")]).await;
    assert_eq!((page.status.as_u16(), page.text_of("#description")), (422, "kept".to_owned()));
}

#[tokio::test]
async fn a_group_is_deleted_after_its_name_was_typed_and_the_numbers_still_hold() {
    let site = site().await;
    let (anna, owner) = site.signed_in("anna").await;
    let (ben, member) = site.signed_in("ben").await;
    let id = group(&site, &anna, |_| ()).await;
    let path = format!("/groups/{id}/delete/");
    assert_eq!(member.get(&path).await.status, 403);
    let page = owner.get(&path).await;
    assert!(
        page.text_of("main > .page .btn-danger").contains("2 rows"),
        "{}",
        page.text_of("main > .page .btn-danger")
    );
    let wrong = owner.submit(&page, &path, &[("slug", "other")]).await;
    assert_eq!((wrong.status.as_u16(), wrong.find("#slug-error").len()), (422, 1));
    site.community.groups.join(&ben, id, None, String::new()).await.unwrap();
    let changed = owner.submit(&page, &path, &[("slug", "print-co")]).await;
    assert!(changed.status == 422 && changed.text.contains("Something changed meanwhile"), "{}", changed.text);
    let done = owner.submit(&changed, &path, &[("slug", "print-co")]).await;
    assert_eq!((done.status.as_u16(), done.location()), (303, "/groups/"), "{}", done.text);
    assert_eq!(owner.get(&format!("/groups/{id}/")).await.status, 404);
}

#[tokio::test]
async fn the_ownership_is_transferred_to_a_member_by_name() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, _) = (site.user("ben").await, site.user("cleo").await);
    let new = NewGroup { name: "Choir".into(), category: "general".into(), ..NewGroup::default() };
    let group = site.community.groups.create_group(&anna, new).await.unwrap().id;
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let (path, action) = (format!("/groups/{group}/settings/"), format!("/groups/{group}/transfer/"));
    let page = browser.fill(&path, &action, &[("user", "cleo")]).await;
    assert_eq!(
        (page.status.as_u16(), page.text_of("#user-error")),
        (422, "There is nobody with this name.".to_owned())
    );
    assert_eq!(page.find("#user")[0].value().attr("value"), Some("cleo"), "she is not a member");
    let page = browser.fill(&path, &action, &[("user", "@Ben")]).await;
    assert_eq!(page.location(), format!("/groups/{group}/"), "{}", page.text);
    let group = site.community.groups.group(Some(ben), group).await.unwrap();
    assert_eq!(group.owner.unwrap().id, ben.user);
}
