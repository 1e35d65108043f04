//! What moderators of a group do: posts that wait, bans, the log.

use guildhall_community::{Comments, Members, NewComment, NewPost, Posts};

use crate::{groups::group, harness::site};

#[tokio::test]
async fn a_post_that_waits_is_published_or_deleted() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, author) = site.signed_in("ben").await;
    let group = group(&site, &anna, |new| new.approves_posts = true).await;
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let mut posts = Vec::new();
    for title in ["First", "Second"] {
        let new = NewPost { content: title.into(), title: title.into(), group: Some(group), ..NewPost::default() };
        posts.push(site.community.posts.create_post(&ben, new).await.unwrap().id);
    }
    let waiting = format!("/groups/{group}/requests/");
    let decision = |post, decision: &str| format!("/posts/{post}/review/{decision}/");
    let page = author.get(&format!("/posts/{}/", posts[0])).await;
    assert!(page.find("form[action*='/review/']").is_empty(), "its author does not decide");
    let page = browser.get(&waiting).await;
    assert_eq!(page.find("article.post").len(), 2, "{}", page.text);
    let approve = decision(posts[0], "approve");
    assert_eq!(browser.submit(&page, &approve, &[]).await.location(), waiting);
    assert!(author.get(&format!("/groups/{group}/")).await.text.contains("First"));
    let page = browser.get(&format!("/posts/{}/", posts[1])).await;
    let refused = browser.submit(&page, &decision(posts[1], "approve"), &[]).await;
    assert_eq!(refused.location(), format!("/posts/{}/", posts[1]), "back to its page");
    let new = NewPost { content: "Third".into(), group: Some(group), ..NewPost::default() };
    let third = site.community.posts.create_post(&ben, new).await.unwrap().id;
    let token = browser.csrf().await;
    let refused = browser.post_raw(&decision(third, "refuse"), &[("csrf_token", &token)]).await;
    assert_eq!(refused.location(), waiting);
    assert_eq!(browser.get(&format!("/posts/{third}/")).await.status, 404);
    assert_eq!(browser.get(&waiting).await.text_of(".empty h2"), "Nobody waits");
    let log = browser.get(&format!("/groups/{group}/log/")).await;
    assert!(log.text.contains("published a post") && log.text.contains("deleted a post"), "{}", log.text);
    assert_eq!(author.get(&format!("/groups/{group}/log/")).await.status, 403);
}

#[tokio::test]
async fn a_ban_has_a_reason_and_an_end_is_listed_and_lifted() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, other) = site.signed_in("ben").await;
    let group = group(&site, &anna, |_| ()).await;
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let members = format!("/groups/{group}/members/");
    let ban = format!("{members}{}/ban/", ben.user);
    let page = browser.fill(&members, &ban, &[("reason", "adverts"), ("days", "7")]).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let bans = format!("/groups/{group}/bans/");
    let page = browser.get(&bans).await;
    assert!(page.text_of("main .list li").contains("adverts") && page.text.contains("Until"), "{}", page.text);
    assert_eq!(other.get(&bans).await.status, 403);
    let lift = format!("{bans}{}/lift/", ben.user);
    assert_eq!(browser.submit(&page, &lift, &[]).await.location(), bans);
    assert_eq!(browser.get(&bans).await.text_of(".empty h2"), "Nobody is banned");
    // Somebody who is no member, by name.
    site.user("carl").await;
    let refused = browser.fill(&bans, &bans, &[("user", "nobody"), ("reason", "kept")]).await;
    assert_eq!((refused.status.as_u16(), refused.find("#user-error").len()), (422, 1), "{}", refused.text);
    assert_eq!(refused.find("#reason")[0].value().attr("value"), Some("kept"));
    let refused = browser.fill(&bans, &bans, &[("user", "carl"), ("days", "soon")]).await;
    assert_eq!((refused.status.as_u16(), refused.find("#days-error").len()), (422, 1), "{}", refused.text);
    assert_eq!(browser.fill(&bans, &bans, &[("user", "carl")]).await.location(), bans);
    assert!(browser.get(&bans).await.text_of("main .list li").contains("carl"));
    let log = browser.get(&format!("/groups/{group}/log/")).await.text;
    assert!(log.contains("lifted a ban") && log.contains("banned"), "{log}");
}

#[tokio::test]
async fn moderators_feature_posts_and_remove_comments_of_others() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, other) = site.signed_in("ben").await;
    let group = group(&site, &anna, |_| ()).await;
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let new = NewPost { content: "Hello".into(), group: Some(group), ..NewPost::default() };
    let post = site.community.posts.create_post(&anna, new).await.unwrap().id;
    let new = NewComment { content: "Buy now".into(), parent: None };
    let comment = site.community.posts.create_comment(&ben, post, new).await.unwrap().id;
    let (path, remove) = (format!("/posts/{post}/"), format!("/comments/{comment}/delete/"));
    assert!(other.get(&path).await.find(&format!("form[action='{remove}']")).is_empty(), "his own has a page");
    let page = browser.fill(&path, &remove, &[]).await;
    assert_eq!(page.location(), format!("{path}#comments"));
    assert!(!browser.get(&path).await.text.contains("Buy now"));
    browser.fill(&path, &format!("{path}flags/"), &[("is_featured", "1")]).await;
    assert!(site.community.posts.post(Some(anna), post).await.unwrap().is_featured);
}

#[tokio::test]
async fn the_last_moderator_is_led_to_the_members_instead_of_leaving() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let group = group(&site, &anna, |_| ()).await;
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let path = format!("/groups/{group}/");
    let page = browser.fill(&path, &format!("{path}leave/"), &[]).await;
    assert_eq!(page.location(), format!("{path}members/"), "{}", page.text);
}
