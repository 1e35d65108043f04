//! What remains of a removed user.

use guildhall_kernel::Roles;
use serde_json::{Value, json};

use super::{Fixture, GROUPS, POSTS};
use crate::server::bearer;

#[tokio::test]
async fn a_user_with_groups_and_posts_can_be_removed() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall"})).await;
    fixture.post(&format!("{GROUPS}{hall}/join/"), &fixture.ben, Value::Null).await;
    let post = fixture.post(POSTS, &fixture.anna, json!({"content": "mine", "group": hall})).await.json();
    let staff = bearer(&fixture.server.sign_up_with_roles("sue", Roles { superuser: true, ..Roles::default() }).await);
    assert_eq!(fixture.delete(&format!("/api/users/{}/", fixture.ids[0]), &staff).await.status, 204);
    let group = fixture.get(&format!("{GROUPS}{hall}/"), &fixture.ben).await.json();
    assert_eq!((&group["creator"], &group["moderators"]), (&Value::Null, &json!([fixture.ids[1]])));
    assert_eq!(group["member_count"], 1);
    let post = fixture.get(&format!("{POSTS}{}/", post["id"]), &fixture.ben).await.json();
    assert_eq!((&post["author"], &post["content"]), (&Value::Null, &json!("mine")));
}
