use std::time::Duration;

use guildhall_community::{Comments, Groups, NewComment, NewPost, Posts, Settings};

use crate::harness::{code, named, person};

#[tokio::test]
async fn fault_14_groups_posts_and_comments_per_day_are_limited() {
    let settings = Settings { groups_per_day: 2, posts_per_day: 2, comments_per_day: 2, ..Settings::default() };
    let harness = crate::harness::community_with(1, settings, None).await;
    let mut outcomes = Vec::new();
    for n in 0..3 {
        outcomes.push(code(harness.groups.create_group(&person(1), named(&format!("group {n}"))).await));
    }
    assert_eq!(outcomes, ["ok", "ok", "quota_exceeded"]);
    let write = async |user| {
        let new = NewPost { content: "x".into(), ..NewPost::default() };
        harness.posts.create_post(&person(user), new).await
    };
    let post = write(1).await.unwrap().id;
    write(1).await.unwrap();
    assert_eq!(code(write(1).await), "quota_exceeded");
    for expected in ["ok", "ok", "quota_exceeded"] {
        let comment = NewComment { content: "x".into(), parent: None };
        assert_eq!(code(harness.posts.create_comment(&person(1), post, comment).await), expected);
    }
    write(2).await.unwrap();
    harness.clock.advance(Duration::from_secs(24 * 3600 + 1));
    write(1).await.unwrap();
}
