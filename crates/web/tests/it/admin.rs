//! The admin panel: who sees it, its pages over all tables, changes, deletions, accounts.

mod creations;
mod deletions;

use guildhall_admin::Panel;
use guildhall_community::{
    Comments, Drafts, GroupId, GroupPatch, Groups, Members, NewComment, NewGroup, NewPoll, NewPost, PostId, Posts,
    Visibility,
};
use guildhall_kernel::{Caller, IfMatch, Roles};
use guildhall_messaging::{Messages, NewMessage, Target};

use crate::{
    browser::Browser,
    harness::{PASSWORD, Site, site},
    markup::{assert_inert, hostile},
};

const STAFF: Roles = Roles { teacher: false, staff: true, superuser: false };
const SUPERUSER: Roles = Roles { teacher: false, staff: false, superuser: true };

async fn signed_in(site: &Site, name: &str, roles: Roles) -> (Caller, Browser) {
    let caller = site.user_with(name, roles).await;
    let browser = site.visitor();
    browser.sign_in(name).await;
    (caller, browser)
}

/// A group of Anna with Ben, a post and two comments.
async fn group(site: &Site, name: &str) -> (Caller, i64) {
    let (anna, ben) = (site.user("anna").await, site.user("ben").await);
    let new = NewGroup { name: name.into(), category: "craft".into(), ..NewGroup::default() };
    let group = site.community.groups.create_group(&anna, new).await.unwrap().id;
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let new = NewPost { content: "Hello".into(), title: "First".into(), group: Some(group), ..NewPost::default() };
    let post = site.community.posts.create_post(&anna, new).await.unwrap().id;
    for text in ["one", "two"] {
        let new = NewComment { content: text.into(), parent: None };
        site.community.posts.create_comment(&ben, post, new).await.unwrap();
    }
    (anna, group.0)
}

#[tokio::test]
async fn the_panel_is_for_staff_and_superusers() {
    let site = site().await;
    let (_, user) = site.signed_in("anna").await;
    let (_, staff) = signed_in(&site, "sam", STAFF).await;
    let (_, superuser) = signed_in(&site, "sue", SUPERUSER).await;
    let visitor = site.visitor();
    for path in [
        "/admin/",
        "/admin/tables/",
        "/admin/find/?q=a",
        "/admin/users/",
        "/admin/users/1/",
        "/admin/users/new/",
        "/admin/users/options/?q=a",
        "/admin/users/export/",
        "/admin/jobs/",
        "/admin/outbox/",
        "/admin/audit/",
    ] {
        assert!(visitor.get(path).await.location().starts_with("/login/"), "{path}");
        assert_eq!(user.get(path).await.status, 403, "{path}");
        assert_eq!(staff.get(path).await.status, 200, "{path}");
        assert_eq!(superuser.get(path).await.status, 200, "{path}");
    }
    assert!(staff.get("/menu/").await.text.contains("href=\"/admin/\""));
    assert!(!user.get("/menu/").await.text.contains("href=\"/admin/\""));
    assert_eq!(staff.get("/admin/nothing/").await.status, 404);
    assert_eq!(staff.get("/admin/users/99999/").await.status, 404);
}

#[tokio::test]
async fn every_table_has_a_page_that_is_inert_whatever_people_write() {
    let site = site().await;
    hostile(&site).await;
    let (_, browser) = signed_in(&site, "sue", SUPERUSER).await;
    let mut rows = Vec::new();
    for model in site.panel.registry().models() {
        let path = format!("/admin/{}/", model.table);
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert_inert(&path, &page);
        let first = page.find("td.cell-title a").first().map(|link| link.value().attr("href").unwrap().to_owned());
        rows.extend(first);
    }
    assert!(rows.len() > 40, "{}", rows.len());
    for path in rows {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert_inert(&path, &page);
        assert_eq!(page.find("h1").len(), 1, "{path}");
    }
    for path in
        ["/admin/", "/admin/tables/", "/admin/find/?q=script", "/admin/community_group/?q=%3Cscript%3E&f.category=x"]
    {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert_inert(path, &page);
    }
}

#[tokio::test]
async fn what_people_write_to_each_other_is_not_in_the_panel() {
    let site = site().await;
    let (anna, ben) = (site.user("anna").await, site.user("ben").await);
    site.messaging.send(&anna, Target::User(ben.user), NewMessage::text("meet me at noon")).await.unwrap();
    let (_, browser) = signed_in(&site, "sue", SUPERUSER).await;
    for model in site.panel.registry().models() {
        for path in [format!("/admin/{}/", model.table), format!("/admin/{}/export/", model.table)] {
            assert!(!browser.get(&path).await.text.contains("meet me"), "{path}");
        }
    }
}

/// A post of Ben that only he may read, with everything that a post can have.
async fn private_post(site: &Site, ben: &Caller) -> PostId {
    let new = NewPost {
        content: "zebrapost #zebratag".into(),
        title: "zebratitle".into(),
        visibility: Some(Visibility::Private),
        tags: vec!["zebratag".into()],
        poll: Some(NewPoll { options: vec!["zebrayes".into(), "zebrano".into()], is_multiple: false, hours: None }),
        ..NewPost::default()
    };
    let post = site.community.posts.create_post(ben, new).await.unwrap().id;
    let new = NewComment { content: "zebracomment".into(), parent: None };
    site.community.posts.create_comment(ben, post, new).await.unwrap();
    post
}

#[tokio::test]
async fn a_private_post_is_not_in_the_panel() {
    let site = site().await;
    let ben = site.user("ben").await;
    let post = private_post(&site, &ben).await;
    let draft = NewPost { content: "zebradraft".into(), ..NewPost::default() };
    site.community.posts.save_draft(&ben, draft).await.unwrap();
    let (sue, browser) = signed_in(&site, "sue", SUPERUSER).await;
    for model in site.panel.registry().models() {
        let table = &model.table;
        let list = browser.get(&format!("/admin/{table}/")).await;
        let mut paths = vec![format!("/admin/{table}/export/")];
        let links = list.find("td.cell-title a");
        paths.extend(links.iter().map(|link| link.value().attr("href").unwrap().to_owned()));
        drop(links);
        assert!(!list.text.contains("zebra"), "{table}");
        for path in paths {
            assert!(!browser.get(&path).await.text.contains("zebra"), "{path}");
        }
    }
    for path in [format!("/admin/community_post/{post}/"), format!("/admin/community_post/delete/?key={post}")] {
        assert_eq!(browser.get(&path).await.status, 404, "{path}");
    }
    assert!(site.panel.find(&sue, "zebratitle").await.unwrap().rows.is_empty());
    assert!(browser.get("/admin/community_post/?q=zebratitle").await.find("tbody tr").is_empty());
}

#[tokio::test]
async fn a_query_with_a_nul_is_refused() {
    let site = site().await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    for path in ["/admin/users/?q=%00", "/admin/users/export/?f.email=%00", "/admin/users/delete/?key=%00"] {
        let status = browser.get(path).await.status;
        assert!(status.is_client_error(), "{path}: {status}");
    }
    for path in ["/admin/users/+1/", "/admin/users/01/"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_form_does_not_revert_what_has_changed_meanwhile() {
    let site = site().await;
    let (anna, group) = group(&site, "Print").await;
    let (_, browser) = signed_in(&site, "sue", SUPERUSER).await;
    let path = format!("/admin/community_group/{group}/");
    let page = browser.get(&path).await;
    let patch = GroupPatch { description: Some("new".into()), ..GroupPatch::default() };
    site.community.groups.change_group(&anna, GroupId(group), patch, IfMatch::default()).await.unwrap();
    let fields = [("c.name", "Press")];
    let refused = browser.submit(&page, &path, &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    // The page of the refusal is no way around it.
    assert_eq!(browser.submit(&refused, &path, &fields).await.status, 422);
    let incomplete = browser.submit(&page, &path, &[("submitted", "")]).await;
    assert!(incomplete.status.is_client_error());
    let kept = "SELECT COUNT(*) FROM community_group WHERE name = 'Print' AND description = 'new'";
    assert_eq!(site.db.query_i64(kept).await, 1);
    let (path, action) = (format!("/admin/users/{}/", anna.user), format!("/admin/people/{}/roles/", anna.user));
    let page = browser.get(&path).await;
    assert_eq!(browser.submit(&page, &action, &[("role", "teacher")]).await.location(), path);
    assert_eq!(browser.submit(&page, &action, &[("role", "staff")]).await.status, 422);
    assert!(browser.submit(&page, &action, &[("version", "")]).await.status.is_client_error());
    assert_eq!(site.db.query_i64("SELECT COUNT(*) FROM users WHERE is_teacher AND NOT is_staff").await, 1);
}

#[tokio::test]
async fn a_list_is_searched_filtered_and_exported() {
    let site = site().await;
    let (anna, group) = group(&site, "Print & Co").await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let page = browser.get("/admin/community_group/?q=print").await;
    assert_eq!(page.find("tbody tr").len(), 1);
    assert_eq!(browser.get("/admin/community_group/?q=zzz").await.find("tbody tr").len(), 0);
    let path = format!("/admin/community_membership/?f.group_id={group}");
    let page = browser.get(&path).await;
    assert_eq!(page.find("tbody tr").len(), 2);
    assert!(page.text_of("tbody").contains("Print & Co"), "{}", page.text_of("tbody"));
    // A name in the filter of a reference: the page asks which row to take.
    let page = browser.get("/admin/community_membership/?f.user_id=ann").await;
    let choice = format!("f.user_id={}", anna.user);
    assert!(page.find("a.btn").iter().any(|link| link.value().attr("href").unwrap().contains(&choice)));
    let page = browser.part("/admin/community_group/?q=print", "div#results").await;
    assert!(page.find("#results").len() == 1 && page.find("main").is_empty());
    // Other columns are shown on request, and exported; the first one names the row.
    let page = browser.get("/admin/community_group/?q=print&col=slug&col=nothing").await;
    assert_eq!(page.find("thead th").len(), 3, "a box, its name and its slug");
    assert_eq!(page.find("#columns input[checked]").len(), 1);
    assert!(page.text_of("tbody").contains("print-co"), "{}", page.text_of("tbody"));
    let csv = browser.get("/admin/community_group/export/?q=print&col=slug").await.text;
    assert_eq!(csv.lines().next(), Some("\"id\",\"name\",\"slug\""));
    // On the page of a row, those that refer to it are loaded when they are opened.
    let page = browser.get(&format!("/admin/community_group/{group}/")).await;
    let related = page.find("details[hx-get]");
    let members = related.iter().find(|part| part.value().attr("hx-get").unwrap().contains("membership")).unwrap();
    let (url, target) = (members.value().attr("hx-get").unwrap(), members.value().attr("hx-target").unwrap());
    let part = browser.part(url, &format!("div{target}")).await;
    assert_eq!((part.find("li").len(), part.find("main").len()), (2, 0), "{}", part.text);
    let answer = browser.get("/admin/community_group/export/?q=print").await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(answer.text.lines().count(), 2);
}

#[tokio::test]
async fn a_group_is_changed_through_its_service() {
    let site = site().await;
    let (_, group) = group(&site, "Print").await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let path = format!("/admin/community_group/{group}/");
    let fields = [("submitted", "1"), ("c.name", "Press"), ("c.description", ""), ("c.category", "craft")];
    let page = browser.fill(&path, &path, &fields).await;
    assert_eq!(page.location(), path, "{}", page.text);
    let page = browser.get(&path).await;
    assert_eq!(page.text_of("h1"), "Press");
    assert!(page.text_of(".timeline").contains("admin.change"), "{}", page.text_of(".timeline"));
    // The service folds the name for the search: nothing was written around it.
    assert_eq!(browser.get("/admin/community_group/?q=press").await.find("tbody tr").len(), 1);
    let fields = [("submitted", "1"), ("c.name", ""), ("c.description", "kept"), ("c.category", "craft")];
    let page = browser.fill(&path, &path, &fields).await;
    assert_eq!((page.status.as_u16(), page.text_of("#c-description").trim()), (422, "kept"));
    assert!(!page.text_of("#c-name-error").is_empty());
}

#[tokio::test]
async fn staff_deactivate_an_account_and_send_a_reset_link() {
    let site = site().await;
    let (anna, own) = site.signed_in("anna").await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let (path, action) = (format!("/admin/users/{}/", anna.user), format!("/admin/people/{}/", anna.user));
    browser.fill(&path, &format!("{action}reset/"), &[]).await;
    assert_eq!(site.emails().await.len(), 1);
    browser.fill(&path, &format!("{action}sign-out/"), &[]).await;
    assert!(own.get("/").await.location().starts_with("/login/"));
    browser.fill(&path, &format!("{action}state/"), &[]).await;
    let page = browser.get(&path).await;
    assert!(page.text_of(".badge-warning").contains("deactivated"));
    assert!(page.text_of(".timeline").contains("accounts."), "{}", page.text_of(".timeline"));
    browser.fill(&path, &format!("{action}state/"), &[("active", "1")]).await;
    assert!(browser.get(&path).await.text_of(".badge-success").contains("active"));
}

#[tokio::test]
async fn only_a_superuser_grants_privileges() {
    let site = site().await;
    let anna = site.user("anna").await;
    let (_, staff) = signed_in(&site, "sam", STAFF).await;
    let (_, superuser) = signed_in(&site, "sue", SUPERUSER).await;
    let (path, action) = (format!("/admin/users/{}/", anna.user), format!("/admin/people/{}/roles/", anna.user));
    let refused = staff.fill(&path, &action, &[("role", "staff")]).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text_of("#form-error").contains("superuser"));
    assert_eq!(staff.fill(&path, &action, &[("role", "teacher")]).await.location(), path);
    assert_eq!(superuser.fill(&path, &action, &[("role", "staff")]).await.location(), path);
    assert_eq!(site.db.query_i64("SELECT COUNT(*) FROM users WHERE is_staff AND NOT is_teacher").await, 2);
}

#[tokio::test]
async fn the_dashboard_lets_a_job_run_and_sends_a_message_again() {
    let site = site().await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    site.db
        .sql("INSERT INTO kernel_job (name, next_at, last_error) VALUES ('a.b', 9000000000000000, 'no <b>disk</b>')")
        .await
        .unwrap();
    let page = browser.get("/admin/").await;
    assert!(page.text_of(".banner-warning").contains("1 job failed"), "{}", page.text);
    let done = browser.submit(&page, "/admin/jobs/a.b/run/", &[]).await;
    assert_eq!(done.location(), "/admin/");
    assert_eq!(site.db.query_i64("SELECT COUNT(*) FROM kernel_job WHERE next_at < 9000000000000000").await, 1);
    let anna = site.user("anna").await;
    browser.fill(&format!("/admin/users/{}/", anna.user), &format!("/admin/people/{}/reset/", anna.user), &[]).await;
    site.db.sql("UPDATE kernel_outbox SET next_at = 9000000000000000, last_error = '550'").await.unwrap();
    let page = browser.get("/admin/").await;
    let id = site.db.query_i64("SELECT MAX(id) FROM kernel_outbox").await;
    browser.submit(&page, &format!("/admin/outbox/{id}/send/"), &[]).await;
    assert!(!site.emails().await.is_empty());
    assert!(page.find(".plot").len() == 3 && page.text.contains("1.2.3"));
}

#[tokio::test]
async fn messages_are_shown_by_their_state_and_sent_again_from_there() {
    let site = site().await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let anna = site.user("anna").await;
    browser.fill(&format!("/admin/users/{}/", anna.user), &format!("/admin/people/{}/reset/", anna.user), &[]).await;
    let id = site.db.query_i64("SELECT MAX(id) FROM kernel_outbox").await;
    site.db.sql("UPDATE kernel_outbox SET next_at = 9000000000000000").await.unwrap();
    let page = browser.get("/admin/outbox/?state=waiting").await;
    assert_eq!(page.find("main li").len(), 1, "{}", page.text_of("main"));
    let done = browser.submit(&page, &format!("/admin/outbox/{id}/send/"), &[]).await;
    assert_eq!(done.location(), "/admin/outbox/?state=waiting");
    assert!(browser.get("/admin/outbox/?state=failed").await.find("main li").is_empty());
    site.emails().await;
    assert!(browser.get("/admin/outbox/?state=waiting").await.find("main li").is_empty());
    assert_eq!(browser.get("/admin/outbox/?state=sent").await.find("main li").len(), 1);
}

#[tokio::test]
async fn the_audit_log_is_filtered_and_continues() {
    let site = site().await;
    let (sam, browser) = signed_in(&site, "sam", STAFF).await;
    let insert = "INSERT INTO kernel_audit_event (at, actor_label, subject_label, action, outcome, detail, object) \
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70) \
        SELECT i, 'robot', '', 'test.done', 'done', '{}', 'test/it/1' FROM n";
    site.db.sql(insert).await.unwrap();
    let page = browser.get("/admin/audit/?object=test/it/1").await;
    assert_eq!(page.find("tbody tr").len(), 50);
    let older = page.find(".pager a")[0].value().attr("href").unwrap().to_owned();
    let page = browser.get(&older).await;
    assert_eq!((page.find("tbody tr").len(), page.find(".pager").len()), (20, 0));
    for (query, rows) in [("actor=nobody", 0), ("object=test/it/2", 0), ("actor=sam&object=test/it/1", 0)] {
        assert_eq!(browser.get(&format!("/admin/audit/?{query}")).await.find("tbody tr").len(), rows, "{query}");
    }
    for actor in [sam.user.to_string(), "sam".to_owned()] {
        let own = browser.get(&format!("/admin/audit/?actor={actor}")).await;
        assert!(own.text_of("tbody").contains("accounts."), "{}", own.text_of("main"));
    }
}

#[tokio::test]
async fn staff_end_a_session_and_revoke_a_token() {
    let site = site().await;
    let (anna, own) = site.signed_in("anna").await;
    let fields = [("name", "laptop <b>"), ("password", PASSWORD)];
    assert_eq!(own.fill("/account/tokens/", "/account/tokens/", &fields).await.status, 200);
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let path = format!("/admin/users/{}/", anna.user);
    let page = browser.get(&path).await;
    let action = |end: &str| {
        let forms = page.find("form[action]");
        let actions = forms.iter().map(|form| form.value().attr("action").unwrap().to_owned());
        actions.into_iter().find(|action| action.ends_with(end)).unwrap()
    };
    assert_eq!(browser.submit(&page, &action("/revoke/"), &[]).await.location(), path);
    assert_eq!(site.db.count_rows("accounts_user_token").await, 0);
    assert_eq!(browser.submit(&page, &action("/end/"), &[]).await.location(), path);
    assert!(own.get("/").await.location().starts_with("/login/"));
}
