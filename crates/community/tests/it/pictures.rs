use guildhall_community::{Groups, PictureKind, Pictures};
use guildhall_kernel::IfMatch;

use crate::{
    fixtures::png,
    harness::{code, community, named, person},
};

#[tokio::test]
async fn group_pictures_are_replaced_and_removed() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    let upload_picture = |user: i64, bytes: Vec<u8>| {
        let harness = &harness;
        async move { harness.groups.set_picture(&person(user), hall, PictureKind::Image, bytes.into()).await }
    };
    assert_eq!(code(upload_picture(2, png()).await), "not_moderator");
    assert_eq!(code(upload_picture(9, png()).await), "not_member");
    assert_eq!(code(upload_picture(1, b"no picture".to_vec()).await), "invalid");
    assert_eq!(harness.stored_files(), 0);
    let shown = upload_picture(1, png()).await.unwrap();
    assert!(shown.image_url.contains("/api/files/") && shown.image_urls.is_some());
    assert_eq!(harness.stored_files(), 3);
    upload_picture(1, png()).await.unwrap();
    harness.groups.set_picture(&person(1), hall, PictureKind::Banner, png().into()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!(
        (harness.stored_files(), harness.db.count_rows("files_file").await),
        (6, 2),
        "the previous picture is deleted"
    );
    harness.groups.remove_picture(&person(1), hall, PictureKind::Image).await.unwrap();
    let shown = harness.groups.group(Some(person(2)), hall).await.unwrap();
    assert!(shown.image_url.contains("/pictures/") && shown.image_urls.is_none() && shown.banner_url.is_some());
    harness.groups.delete_group(&person(1), hall, IfMatch::default()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.db.count_rows("files_file").await), (0, 0));
}
