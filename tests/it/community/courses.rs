//! Courses.

use guildhall_kernel::Roles;
use reqwest::Method;
use serde_json::json;

use super::{Fixture, GROUPS};
use crate::server::bearer;

#[tokio::test]
async fn courses_are_created_by_teachers_and_linked_by_moderators() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall"})).await;
    let course = json!({"title": "Knots", "description": "How to tie them"});
    assert_eq!(fixture.post("/api/community/courses/", &fixture.anna, course.clone()).await.status, 403);
    let teacher = bearer(&fixture.server.sign_up_with_roles("tom", Roles { teacher: true, ..Roles::default() }).await);
    let created = fixture.post("/api/community/courses/", &teacher, course).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["id"].clone();
    let link = format!("{GROUPS}{hall}/courses/");
    assert_eq!(fixture.send(Method::PUT, &link, &fixture.ben, json!({"course_ids": [id]})).await.status, 403);
    assert_eq!(fixture.send(Method::PUT, &link, &fixture.anna, json!({"course_ids": [999]})).await.status, 404);
    assert_eq!(fixture.send(Method::PUT, &link, &fixture.anna, json!({"course_ids": [id]})).await.status, 200);
    assert_eq!(fixture.get(&format!("{GROUPS}{hall}/"), &fixture.ben).await.json()["courses"], json!([id]));
    assert_eq!(fixture.delete(&format!("{GROUPS}{hall}/"), &fixture.anna).await.status, 204);
    let course = fixture.get(&format!("/api/community/courses/{id}/"), &fixture.ben).await;
    assert_eq!((course.status.as_u16(), &course.json()["title"]), (200, &json!("Knots")), "the course is not deleted");
}
