use guildhall_community::{Attachments, Posts};
use guildhall_kernel::IfMatch;

use crate::{
    fixtures::{png, upload},
    harness::{code, community, person, post},
};

#[tokio::test]
async fn attachments_are_deleted_with_their_post() {
    let harness = community().await;
    let id = harness.posts.create_post(&person(1), post("x")).await.unwrap().id;
    let text = harness.posts.attach(&person(1), id, upload("notes.html", "text/html", "<script>")).await.unwrap();
    assert_eq!((text.name.as_str(), text.content_type.as_str(), text.size), ("notes.html", "text/html", 8));
    assert!(text.url.starts_with("https://example.org/api/files/") && text.preview_url.is_none());
    let picture = harness.posts.attach(&person(1), id, upload("a.png", "image/png", png())).await.unwrap();
    assert!(picture.preview_url.is_some() && picture.medium_url.is_some());
    assert_eq!(code(harness.posts.attach(&person(1), id, upload("a.png", "image/png", "no picture")).await), "invalid");
    assert_eq!(code(harness.posts.attach(&person(2), id, upload("a", "text/plain", "x")).await), "not_author");
    assert_eq!(harness.posts.post(Some(person(2)), id).await.unwrap().attachments.len(), 2);
    assert_eq!(harness.stored_files(), 4, "a picture has three sizes");
    harness.posts.detach(&person(1), id, text.id).await.unwrap();
    assert_eq!(code(harness.posts.detach(&person(1), id, text.id).await), "not_found");
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.db.count_rows("files_file").await), (3, 1));
    harness.posts.delete_post(&person(1), id, IfMatch::default()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.db.count_rows("files_file").await), (0, 0));
    assert_eq!(harness.db.count_rows("files_garbage").await, 0);
    let many = harness.posts.create_post(&person(1), post("x")).await.unwrap().id;
    for n in 0..10 {
        harness.posts.attach(&person(1), many, upload(&format!("{n}"), "text/plain", "x")).await.unwrap();
    }
    assert_eq!(code(harness.posts.attach(&person(1), many, upload("11", "text/plain", "x")).await), "invalid");
}
