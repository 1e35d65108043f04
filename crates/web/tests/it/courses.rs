//! Courses of groups.

use guildhall_community::{Groups, Members, NewGroup};
use guildhall_kernel::Roles;

use crate::harness::site;

#[tokio::test]
async fn a_course_is_written_taken_and_completed() {
    let site = site().await;
    let anna = site.user_with("anna", Roles { teacher: true, ..Roles::default() }).await;
    let teacher = site.visitor();
    teacher.sign_in("anna").await;
    let (ben, learner) = site.signed_in("ben").await;
    let new = NewGroup { name: "Print".into(), category: "craft".into(), ..NewGroup::default() };
    let group = site.community.groups.create_group(&anna, new).await.unwrap().id;
    site.community.groups.join(&ben, group, None, String::new()).await.unwrap();
    let list = format!("/groups/{group}/courses/");
    assert_eq!(learner.get(&list).await.text_of(".empty h2"), "No courses");
    let form = format!("{list}new/");
    assert_eq!(learner.get(&form).await.status, 403);
    let csrf = teacher.csrf().await;
    let send = async |path: &str, fields: &[(&str, &str)]| {
        let mut all = fields.to_vec();
        all.push(("csrf_token", &csrf));
        teacher.post_raw(path, &all).await
    };
    let page = send(&form, &[("title", "")]).await;
    assert_eq!((page.status.as_u16(), page.text_of("#title-error")), (422, "Fill this in.".to_owned()));
    let page = send(&form, &[("title", "Setting type"), ("description", "By *hand*")]).await;
    let edit = page.location().to_owned();
    let course = edit.trim_end_matches("edit/").to_owned();
    let page = send(&format!("{course}sections/"), &[("title", "")]).await;
    assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1), "{}", page.text);
    assert_eq!(send(&format!("{course}sections/"), &[("title", "First hour")]).await.location(), edit);
    let page = teacher.get(&edit).await;
    let lessons = page.find("a[href$='/lessons/new/']")[0].value().attr("href").unwrap().to_owned();
    for title in ["The case", "The stick"] {
        let page = send(&lessons, &[("title", title), ("content", "Read **this**")]).await;
        assert_eq!(page.location(), edit, "{}", page.text);
    }
    let page = learner.get(&course).await;
    assert_eq!(page.find(".lesson").len(), 2);
    assert!(page.find(".lesson a").is_empty(), "lessons are for those who take the course");
    learner.submit(&page, &format!("{course}enrol/"), &[]).await;
    let page = learner.get(&course).await;
    let first = page.find(".lesson-next a")[0].value().attr("href").unwrap().to_owned();
    let page = learner.fill(&first, &format!("{first}done/"), &[]).await;
    let second = page.location().to_owned();
    assert!(second.starts_with("/lessons/") && second != first, "the next lesson follows");
    assert!(learner.get(&second).await.text.contains("<strong>this</strong>"));
    assert_eq!(learner.get(&format!("{second}edit/")).await.status, 403);
    let page = learner.fill(&second, &format!("{second}done/"), &[]).await;
    assert_eq!(page.location(), course);
    assert!(learner.follow(&page).await.text.contains("2 of 2 lessons done"));
    let page = learner.fill(&course, &format!("{course}leave/"), &[]).await;
    assert_eq!(page.location(), course);
    let id = course.trim_matches('/').rsplit('/').next().unwrap();
    assert_eq!(send(&format!("{list}{id}/remove/"), &[]).await.location(), list);
    assert_eq!(learner.get(&course).await.status, 404);
    assert_eq!(teacher.fill(&course, &format!("{course}delete/"), &[]).await.location(), "/groups/");
}
