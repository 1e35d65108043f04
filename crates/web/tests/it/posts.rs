//! The feed, posts and comments.

use axum::{body::Body, http::Request};
use guildhall_community::{Groups, Members, NewGroup, NewPost, Post, Posts, Visibility};
use guildhall_kernel::Caller;

use crate::harness::{Site, site};

async fn post(site: &Site, caller: &Caller, content: &str) -> Post {
    let new = NewPost { content: content.to_owned(), title: "Hello".to_owned(), ..NewPost::default() };
    site.community.posts.create_post(caller, new).await.unwrap()
}

#[tokio::test]
async fn a_file_with_a_hostile_name_is_shown_as_text_and_removed_by_its_author() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (_, other) = site.signed_in("ben").await;
    let new = NewPost { content: "Hello".into(), visibility: Some(Visibility::Public), ..NewPost::default() };
    let post = site.community.posts.create_post(&anna, new).await.unwrap().id;
    let path = format!("/posts/{post}/");
    let name = "<img src=x onerror=alert(1)>.txt";
    let attached = browser.upload(&format!("{path}attach/"), &[], &[("file", name, "oak")]).await;
    assert_eq!(attached.location(), path, "{}", attached.text);
    let page = browser.get(&path).await;
    assert!(page.text.contains("&#60;img src=x") && page.find("img[onerror]").is_empty(), "{}", page.text);
    let action = page.find("form[action*='/attachments/']")[0].value().attr("action").unwrap().to_owned();
    assert!(other.get(&path).await.find("form[action*='/attachments/']").is_empty());
    assert_eq!(browser.submit(&page, &action, &[]).await.location(), path);
    assert!(site.community.posts.post(Some(anna), post).await.unwrap().attachments.is_empty());
}

#[tokio::test]
async fn a_post_is_written_read_edited_and_deleted() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let fields =
        [("title", "Ink order"), ("content", "Say **what** you need"), ("visibility", "public"), ("tags", "ink #tin")];
    let form = browser.get("/posts/new/").await;
    let csrf = form.find("input[name=csrf_token]")[0].value().attr("value").unwrap().to_owned();
    let with_token: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf_token", csrf.as_str())]).collect();
    let page = browser.post_raw("/posts/new/", &with_token).await;
    let path = page.location().to_owned();
    let page = browser.follow(&page).await;
    assert_eq!(page.text_of("#pt"), "Ink order");
    assert_eq!(page.text_of("#toasts .toast"), "Posted");
    assert!(page.text.contains("<strong>what</strong>") && page.text.contains("#tin"), "{}", page.text);
    assert!(!browser.get(&path).await.text.contains("Posted"), "the message is shown once");
    let edit = browser.get(&format!("{path}edit/")).await;
    assert_eq!(edit.text_of("textarea[name=content]"), "Say **what** you need");
    let fields =
        [("csrf_token", csrf.as_str()), ("title", "Ink order 2"), ("content", "By Monday"), ("visibility", "public")];
    browser.post_raw(&format!("{path}edit/"), &fields).await;
    assert_eq!(browser.get(&path).await.text_of("#pt"), "Ink order 2");
    let page = browser.fill(&path, &format!("{path}delete/"), &[]).await;
    assert_eq!(page.location(), "/");
    assert_eq!(browser.get(&path).await.status, 404);
}

#[tokio::test]
async fn what_was_written_is_kept_if_the_post_is_refused() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let csrf = browser.csrf().await;
    let fields = [("csrf_token", csrf.as_str()), ("title", "A <title>"), ("content", ""), ("visibility", "group_only")];
    let page = browser.post_raw("/posts/new/", &fields).await;
    assert_eq!(page.status, 422);
    assert_eq!(page.find("#title")[0].value().attr("value"), Some("A <title>"));
    assert_eq!(page.find("#visibility option[selected]")[0].value().attr("value"), Some("group_only"));
    assert_eq!(page.find("#content-error").len(), 1);
}

#[tokio::test]
async fn a_post_is_shown_before_it_is_published() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let fields = [("content", "Say **what** <b>you</b> need"), ("title", "Ink"), ("visibility", "public")];
    let page = browser.upload("/posts/preview/", &fields, &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<strong>what</strong> &lt;b&gt;"), "{}", page.text_of("#preview"));
    assert_eq!(page.find("#title")[0].value().attr("value"), Some("Ink"), "what was typed is kept");
    let long = "x".repeat(50_001);
    let csrf = browser.csrf().await;
    let page = browser.post_raw("/posts/preview/", &[("content", &long), ("csrf_token", &csrf)]).await;
    assert_eq!((page.status.as_u16(), page.find("#content-error").len()), (422, 1));
    assert!(page.find("#preview .prose").is_empty());
    // A script gets the preview alone, or the reason why there is none.
    let script = async |content: &str| {
        let body = format!("content={content}");
        let request = Request::post("/posts/preview/").header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("x-csrf-token", &csrf).header("hx-request", "true");
        let request = request.header("hx-request-type", "partial").header("hx-target", "div#preview");
        browser.send(request.body(Body::from(body)).unwrap()).await
    };
    let part = script("*now*").await;
    assert_eq!((part.find("#preview em").len(), part.find("main").len()), (1, 0), "{}", part.text);
    let refused = script("").await;
    assert!(refused.status.is_client_error() && refused.text.contains("\"reason\""), "{}", refused.text);
    assert_eq!(site.db.count_rows("community_post").await, 0);
}

#[tokio::test]
async fn a_draft_is_continued_published_with_files_and_gone() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let (_, other) = site.signed_in("ben").await;
    let save = "/posts/drafts/";
    let saved = browser.fill("/posts/new/", "/posts/new/", &[]).await;
    assert_eq!(saved.status, 422, "nothing was written");
    let fields =
        [("content", "By Monday"), ("title", ""), ("visibility", "private"), ("tags", "ink"), ("poll", "a\nb")];
    let saved = browser.upload(save, &fields, &[]).await;
    let path = saved.location().to_owned();
    assert!(path.starts_with("/posts/new/?draft="), "{}", saved.text);
    let page = browser.get(&path).await;
    assert_eq!(page.text_of("textarea[name=content]"), "By Monday");
    assert_eq!(page.text_of("textarea[name=poll]").trim(), "a\nb");
    assert_eq!(page.find("#visibility option[selected]")[0].value().attr("value"), Some("private"));
    assert_eq!(page.find("a[href^='/posts/new/?draft=']").len(), 1);
    assert_eq!(other.get(&path).await.status, 404, "drafts are their author's");
    let draft = page.find("input[name=draft]")[0].value().attr("value").unwrap().to_owned();
    let fields = [("draft", draft.as_str()), ("content", "By Tuesday"), ("visibility", "public")];
    browser.upload(save, &fields, &[]).await;
    assert_eq!(site.db.query_i64("SELECT COUNT(*) FROM community_draft").await, 1, "the same draft");
    let posted = browser.upload("/posts/new/", &fields, &[("files", "a.txt", "oak"), ("files", "b.txt", "ash")]).await;
    let page = browser.follow(&posted).await;
    assert!(page.text.contains("a.txt") && page.text.contains("b.txt"), "{}", page.text_of("main"));
    assert_eq!((page.text_of("#toasts .toast"), site.db.count_rows("community_draft").await), ("Posted".to_owned(), 0));
    // A draft that is gone is no reason not to publish.
    assert!(browser.upload("/posts/new/", &fields, &[]).await.location().starts_with("/posts/"));
    assert_eq!(site.db.count_rows("community_post").await, 2);
    let saved = browser.upload(save, &[("content", "Another")], &[]).await;
    let page = browser.get(saved.location()).await;
    let action = page.find("form[action$='/delete/']")[0].value().attr("action").unwrap().to_owned();
    assert_eq!(browser.submit(&page, &action, &[]).await.location(), "/posts/new/");
    assert_eq!(site.db.count_rows("community_draft").await, 0);
}

#[tokio::test]
async fn a_post_stays_if_a_file_is_refused() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let fields = [("content", "See the list"), ("visibility", "public")];
    // Nothing can be stored.
    site.db.sql("DROP TABLE files_garbage").await.unwrap();
    let posted = browser.upload("/posts/new/", &fields, &[("files", "list.txt", "oak")]).await;
    let page = browser.follow(&posted).await;
    assert!(page.text_of("#toasts .toast").contains("could not be attached"), "{}", page.text_of("#toasts"));
    assert_eq!(site.db.count_rows("community_attachment").await, 0);
}

#[tokio::test]
async fn a_reaction_is_given_and_taken_back() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let id = post(&site, &anna, "Hello").await.id;
    let (path, action) = (format!("/posts/{id}/"), format!("/posts/{id}/react/"));
    let page = browser.fill(&path, &action, &[("reaction", "like")]).await;
    assert_eq!(page.location(), path, "back to where the form was");
    let page = browser.get(&path).await;
    assert_eq!(page.find(".reaction[aria-pressed=true]")[0].value().attr("aria-label"), Some("Like, 1"));
    browser.submit(&page, &action, &[("reaction", "like")]).await;
    assert_eq!(browser.get(&path).await.find(".reaction[aria-pressed=true]").len(), 0);
}

#[tokio::test]
async fn a_script_gets_only_the_reactions() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let id = post(&site, &anna, "Hello").await.id;
    let csrf = browser.csrf().await;
    let request = Request::post(format!("/posts/{id}/react/"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("hx-request-type", "partial")
        .header("hx-target", format!("form#post-{id}-reactions"))
        .header("x-csrf-token", csrf);
    let part = browser.send(request.body(Body::from("reaction=love&next=/")).unwrap()).await;
    assert_eq!(part.status, 200);
    assert!(
        part.text.trim_start().starts_with("<form class=\"reactions\"") && !part.text.contains("<html"),
        "{}",
        part.text
    );
    assert!(part.headers["vary"].to_str().unwrap().contains("hx-target"));
}

#[tokio::test]
async fn comments_are_threads_and_only_their_author_changes_them() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (_, ben) = site.signed_in("ben").await;
    let id = post(&site, &anna, "Hello").await.id;
    let (path, action) = (format!("/posts/{id}/"), format!("/posts/{id}/comments/"));
    let page = ben.fill(&path, &action, &[("content", "One more *lead*")]).await;
    let comment = page.location().split("#comment-").nth(1).unwrap().to_owned();
    let page = browser.fill(&format!("/comments/{comment}/"), &action, &[("content", "Done")]).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let page = browser.get(&path).await;
    assert_eq!(page.text_of("#ct"), "2 comments");
    assert_eq!(page.text_of(".replies .comment .prose"), "Done");
    let page = browser.get(&format!("/comments/{comment}/")).await;
    assert!(page.find("textarea#content").is_empty(), "it is not hers");
    let page = ben.get(&format!("/comments/{comment}/")).await;
    ben.submit(&page, &format!("/comments/{comment}/"), &[("content", "Two more leads")]).await;
    assert!(ben.get(&path).await.text.contains("Two more leads"));
    let page = ben.get(&path).await;
    ben.submit(&page, &format!("/comments/{comment}/like/"), &[]).await;
    let page = ben.get(&path).await;
    assert_eq!(page.find(".comment-acts [aria-pressed=true]")[0].value().attr("aria-label"), Some("Like, 1"));
    let page = ben.fill(&format!("/comments/{comment}/"), &format!("/comments/{comment}/delete/"), &[]).await;
    assert_eq!(page.status, 303);
    assert!(ben.get(&path).await.text.contains("This comment was deleted."));
}

#[tokio::test]
async fn a_refused_comment_keeps_what_was_typed() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let id = post(&site, &anna, "Hello").await.id;
    let (path, action) = (format!("/posts/{id}/"), format!("/posts/{id}/comments/"));
    let long = "x".repeat(10_001);
    let page = browser.fill(&path, &action, &[("content", &long)]).await;
    assert_eq!((page.status.as_u16(), page.find("#content-error").len()), (422, 1));
    assert_eq!(page.text_of("textarea#c"), long);
    let page = browser.fill(&path, &action, &[("content", "short")]).await;
    let comment = format!("/comments/{}/", page.location().split("#comment-").nth(1).unwrap());
    let page = browser.fill(&comment, &action, &[("content", &long)]).await;
    assert_eq!((page.status.as_u16(), page.find("#reply-error").len()), (422, 1));
    assert_eq!((page.text_of("textarea#reply"), page.text_of("textarea#content")), (long.clone(), "short".to_owned()));
    let focused = |page: &crate::browser::Page| page.find("[autofocus]")[0].value().attr("id").map(str::to_owned);
    assert_eq!(focused(&page).as_deref(), Some("reply"));
    let page = browser.fill(&comment, &comment, &[("content", &long)]).await;
    assert_eq!((page.status.as_u16(), page.find("#content-error").len()), (422, 1));
    assert_eq!((page.text_of("textarea#reply"), page.text_of("textarea#content")), (String::new(), long));
    assert_eq!(focused(&page).as_deref(), Some("content"), "the form that was refused");
}

#[tokio::test]
async fn a_private_group_and_its_posts_do_not_exist_for_outsiders() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (_, ben) = site.signed_in("ben").await;
    let new = NewGroup { name: "Den".into(), category: "craft".into(), is_private: true, ..NewGroup::default() };
    let group = site.community.groups.create_group(&anna, new).await.unwrap().id;
    let new = NewPost { content: "Secret".into(), group: Some(group), ..NewPost::default() };
    let post = site.community.posts.create_post(&anna, new).await.unwrap().id;
    for path in [format!("/groups/{group}/"), format!("/posts/{post}/"), format!("/groups/{group}/members/")] {
        assert_eq!(browser.get(&path).await.status, 200, "{path}");
        let page = ben.get(&path).await;
        assert_eq!((page.status.as_u16(), page.text_of("h1")), (404, "Nothing here".to_owned()), "{path}");
    }
    assert!(!ben.get("/?feed=global").await.text.contains("Secret"));
}

#[tokio::test]
async fn the_feed_shows_the_posts_of_joined_groups_and_loads_older_ones() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (ben, reader) = site.signed_in("ben").await;
    let new = NewGroup { name: "Print".into(), category: "craft".into(), ..NewGroup::default() };
    let group = site.community.groups.create_group(&anna, new).await.unwrap().id;
    for number in 0..25 {
        let new = NewPost { content: format!("post {number}"), group: Some(group), ..NewPost::default() };
        site.community.posts.create_post(&anna, new).await.unwrap();
    }
    assert!(reader.get("/").await.text.contains("Nothing here yet"));
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let page = reader.get("/").await;
    assert_eq!(page.find("article.post").len(), 20);
    let older = page.find("#older a")[0].value().attr("href").unwrap().to_owned();
    assert_eq!(reader.get(&older).await.find("article.post").len(), 5);
    let part = reader.part(&older, "div#older").await;
    assert_eq!(part.find("article.post").len(), 5);
    assert!(!part.text.contains("<html"), "{}", &part.text[..200]);
    assert_eq!(browser.get("/?feed=saved").await.find("article.post").len(), 0);
}

#[tokio::test]
async fn a_saved_post_is_in_the_list_of_saved_ones() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let id = post(&site, &anna, "Hello").await.id;
    browser.fill(&format!("/posts/{id}/"), &format!("/posts/{id}/bookmark/"), &[]).await;
    assert_eq!(browser.get("/?feed=saved").await.find("article.post").len(), 1);
}

#[tokio::test]
async fn the_search_finds_groups_posts_and_people() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    site.user("annabel").await;
    post(&site, &anna, "about caslon").await;
    let new = NewGroup { name: "Caslon friends".into(), category: "craft".into(), ..NewGroup::default() };
    site.community.groups.create_group(&anna, new).await.unwrap();
    let page = browser.get("/search/?q=caslon").await;
    assert!(page.text_of("#results").contains("Caslon friends"), "{}", page.text_of("#results"));
    assert_eq!(page.find("#results a[href^='/posts/']").len(), 1);
    assert!(browser.get("/search/?q=annab").await.text_of("#results").contains("annabel"));
    let part = browser.part("/search/?q=caslon", "div#results").await;
    assert!(part.text.trim_start().starts_with("<div") && !part.text.contains("<html"), "{}", part.text);
    assert!(browser.get("/search/?q=zzz").await.text.contains("Nothing found"));
}
