//! New rows: each goes through the service of its crate.

use guildhall_community::{Courses, Groups, NewCourse, NewGroup};
use guildhall_kernel::Roles;

use super::{STAFF, group, signed_in};
use crate::{harness::site, markup::assert_inert};

const TEACHER: Roles = Roles { teacher: true, staff: false, superuser: false };

#[tokio::test]
async fn every_form_for_a_new_row_asks_for_what_is_required() {
    let site = site().await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let mut forms = 0;
    for model in site.panel.registry().models() {
        let (list, path) = (format!("/admin/{}/", model.table), format!("/admin/{}/new/", model.table));
        let is_offered = !browser.get(&list).await.find(&format!("a[href='{path}']")).is_empty();
        let page = browser.get(&path).await;
        assert_eq!(page.status == 200, is_offered, "{path}: {}", page.text);
        if !is_offered {
            continue;
        }
        forms += 1;
        assert_inert(&path, &page);
        let refused = browser.submit(&page, &path, &[("submitted", "1")]).await;
        assert_eq!(refused.status, 422, "{path}");
        assert_eq!(refused.find("[aria-invalid]").len(), 1, "{path}");
        assert!(browser.submit(&page, &path, &[("submitted", "")]).await.status.is_client_error(), "{path}");
    }
    assert!(forms >= 15, "{forms}");
}

#[tokio::test]
async fn rows_are_created_one_after_the_other() {
    let site = site().await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let path = "/admin/community_group/new/";
    let fields = [("submitted", "1"), ("c.name", "Press"), ("c.max_members", "12"), ("then", "another")];
    assert_eq!(browser.fill(path, path, &fields).await.location(), path);
    let fields = [("submitted", "1"), ("c.name", "Bindery"), ("c.is_private", "1"), ("c.max_members", "")];
    let created = browser.fill(path, path, &fields).await;
    let page = browser.get(created.location()).await;
    assert_eq!(page.text_of("h1"), "Bindery");
    assert!(page.text_of(".timeline").contains("admin.create"), "{}", page.text_of(".timeline"));
    let stored = "SELECT COUNT(*) FROM community_group WHERE category = 'general' AND member_count = 1
        AND (max_members = 12 OR is_private)";
    assert_eq!(site.db.query_i64(stored).await, 2);
    // What the service refuses is at its field, and what was typed stays.
    let refused = browser.fill(path, path, &[("submitted", "1"), ("c.name", "Press"), ("c.max_members", "0")]).await;
    assert_eq!(refused.status, 422);
    assert!(!refused.text_of("#c-max_members-error").is_empty(), "{}", refused.text_of("main"));
    assert_eq!(refused.find("#c-name")[0].value().attr("value"), Some("Press"));
    let refused = browser.fill(path, path, &[("submitted", "1"), ("c.name", "x"), ("c.slug", "x")]).await;
    assert_eq!((refused.status.as_u16(), site.db.count_rows("community_group").await), (303, 3), "no form has a slug");
}

#[tokio::test]
async fn a_reference_is_chosen_by_its_name() {
    let site = site().await;
    let (anna, print) = group(&site, "Print").await;
    for name in ["Printers", "Bindery"] {
        let new = NewGroup { name: name.into(), category: "craft".into(), ..NewGroup::default() };
        site.community.groups.create_group(&anna, new).await.unwrap();
    }
    let author = site.user_with("tina", TEACHER).await;
    let new = NewCourse { title: "Typesetting".into(), description: String::new(), is_public: true };
    let course = site.community.courses.create_course(&author, new).await.unwrap().id;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let path = "/admin/community_group_course/new/";
    let options = browser.get("/admin/community_group/options/?c.group_id=print").await;
    assert_eq!(options.find("option").len(), 2, "{}", options.text);
    let fields = |group: &'static str, course: &'static str| {
        [("submitted", "1"), ("c.group_id", group), ("c.course_id", course)]
    };
    let none = browser.fill(path, path, &fields("Print", "Cooking")).await;
    assert_eq!(none.status, 422);
    assert!(none.text_of("#c-course_id-error").contains("Nothing found"));
    let several = none.find("#c-group_id option").len();
    assert_eq!(several, 3, "both groups whose names match, and neither");
    let created = browser.fill(path, path, &fields("bindery", "typesetting")).await;
    let key = created.location().to_owned();
    assert!(key.starts_with("/admin/community_group_course/"), "{}", created.text);
    // The row of a relation is created from the page of what it refers to.
    let page = browser.get(&format!("/admin/community_group/{print}/")).await;
    let link = format!("{path}?c.group_id={print}");
    assert_eq!(page.find(&format!("a[href='{link}']")).len(), 1, "{}", page.text);
    let form = browser.get(&link).await;
    let filled = form.find("#c-group_id")[0].value().attr("value").unwrap().to_owned();
    let fields = [("submitted", "1"), ("c.group_id", filled.as_str()), ("c.course_id", &course.to_string())];
    assert!(browser.submit(&form, path, &fields).await.location().starts_with("/admin/"));
    assert_eq!(site.db.count_rows("community_group_course").await, 2);
}

#[tokio::test]
async fn a_user_an_event_and_a_moderator_are_created() {
    let site = site().await;
    let (_, group) = group(&site, "Print").await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let path = "/admin/users/new/";
    let fields = [("submitted", "1"), ("c.username", "zoe"), ("c.email", "zoe@example.org")];
    assert!(browser.fill(path, path, &fields).await.location().starts_with("/admin/users/"));
    assert_eq!(browser.fill(path, path, &fields).await.status, 422, "the name is taken");
    let (path, group_id) = ("/admin/community_event/new/", group.to_string());
    let times = [("c.starts_at", "2031-03-01T10:30"), ("c.ends_at", "2031-03-01T12:00")];
    let fields =
        [("submitted", "1"), ("c.group_id", group_id.as_str()), ("c.title", "Fair"), times[0], ("c.ends_at", "soon")];
    let refused = browser.fill(path, path, &fields).await;
    assert_eq!((refused.status.as_u16(), refused.find("#c-ends_at-error").len()), (422, 1));
    let fields = [("submitted", "1"), ("c.group_id", group_id.as_str()), ("c.title", "Fair"), times[0], times[1]];
    assert!(browser.fill(path, path, &fields).await.location().starts_with("/admin/community_event/"));
    let length = "SELECT ends_at - starts_at FROM community_event WHERE title = 'Fair'";
    assert_eq!(site.db.query_i64(length).await, 90 * 60 * 1_000_000);
    let member = site.db.query_i64("SELECT id FROM community_membership WHERE role = 'member'").await;
    let path = format!("/admin/community_membership/{member}/");
    assert_eq!(browser.fill(&path, &path, &[("submitted", "1"), ("c.role", "king")]).await.status, 422);
    assert_eq!(browser.fill(&path, &path, &[("submitted", "1"), ("c.role", "moderator")]).await.location(), path);
    assert_eq!(site.db.query_i64("SELECT COUNT(*) FROM community_membership WHERE role = 'moderator'").await, 1);
}

#[tokio::test]
async fn members_of_an_organization_create_and_change_what_is_in_it() {
    let site = site().await;
    let (_, browser) = signed_in(&site, "sam", STAFF).await;
    let submitted = ("submitted", "1");
    let path = "/admin/deals_organization/new/";
    let organization = browser.fill(path, path, &[submitted, ("c.name", "Press Ltd")]).await;
    let organization = organization.location().trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
    let (path, org) = ("/admin/deals_client/new/", ("c.org_id", organization.as_str()));
    let client = browser.fill(path, path, &[submitted, org, ("c.name", "Harrow")]).await;
    let client_path = client.location().to_owned();
    assert!(client_path.starts_with("/admin/deals_client/"), "{}", client.text);
    let id = client_path.trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
    let client = ("c.client_id", id.as_str());
    let path = "/admin/deals_contact/new/";
    let contact = browser.fill(path, path, &[submitted, org, client, ("c.first_name", "Ida")]).await;
    assert!(contact.location().starts_with("/admin/deals_contact/"));
    let path = "/admin/deals_deal/new/";
    let deal = browser.fill(path, path, &[submitted, org, client, ("c.title", "A book")]).await;
    assert!(deal.location().starts_with("/admin/deals_deal/"), "{}", deal.text);
    let fields = [submitted, ("c.name", "Harrow & Vale"), ("c.notes", "<b>")];
    assert_eq!(browser.fill(&client_path, &client_path, &fields).await.location(), client_path);
    assert_eq!(browser.get("/admin/deals_client/?q=vale").await.find("tbody tr").len(), 1);
    // Whoever is not a member is refused, and nothing is created.
    let (_, other) = signed_in(&site, "sue", STAFF).await;
    let path = "/admin/deals_client/new/";
    let refused = other.fill(path, path, &[submitted, org, ("c.name", "Vale")]).await;
    assert_eq!((refused.status.as_u16(), site.db.count_rows("deals_client").await), (422, 1), "{}", refused.text);
    assert!(!refused.text_of("#form-error").is_empty());
}
