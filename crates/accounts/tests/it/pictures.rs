use std::{fs, io::Cursor, path::Path};

use guildhall_accounts::{Accounts, Error, Removals, Staff, WeakPassword};
use guildhall_kernel::{Caller, Directory, Roles, UserId, testing::TestClient};
use image::{DynamicImage, ImageFormat};

use crate::harness::{Harness, accounts, caller, new_user, with_connections};

/// A picture in a single colour.
fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    DynamicImage::new_rgb8(64, 32).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes
}

fn stored_files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { stored_files(&path) } else { 1 }).sum()
}

/// The number of files of pictures, in the store and in the database.
async fn files(harness: &Harness) -> (usize, i64) {
    harness.files.collect().await.unwrap();
    (stored_files(harness.folder.path()), harness.db.count_rows("files_file").await)
}

/// The URL of a user's picture, as the other crates see it.
async fn shown(harness: &Harness, id: UserId) -> Option<String> {
    harness.people(&[id]).await.unwrap().pop().unwrap().avatar_url
}

async fn superuser(harness: &Harness) -> Caller {
    let roles = Roles { superuser: true, ..Roles::default() };
    caller(&harness.create_user(new_user("boss"), roles, WeakPassword::Reject).await.unwrap())
}

#[tokio::test]
async fn a_picture_is_shown_to_everybody_replaced_and_removed() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    assert_eq!(shown(&harness, anna.user).await, None);
    let account = harness.set_picture(&anna, png().into()).await.unwrap();
    let url = account.user.avatar_url.unwrap();
    assert!(url.starts_with("https://guild.example.org/api/files/"), "{url}");
    assert_eq!(shown(&harness, anna.user).await.as_deref(), Some(url.as_str()), "at once");
    assert_eq!(harness.me(&anna).await.unwrap().user.avatar_url.as_deref(), Some(url.as_str()));
    let named = harness.named(&["anna".to_owned()]).await.unwrap().pop().unwrap();
    assert_eq!(named.avatar_url.as_deref(), Some(url.as_str()));

    let router = axum::Router::new().nest("/api", guildhall_files::router(harness.files.clone()).into());
    let client = TestClient::new(router);
    let path = url.strip_prefix("https://guild.example.org").unwrap();
    harness.advance(10 * 365 * 24 * 3600);
    let picture = client.get(path).await;
    assert_eq!((picture.status.as_u16(), picture.headers["content-type"].to_str().unwrap()), (200, "image/jpeg"));
    assert_eq!(picture.headers["cache-control"], "public, max-age=86400, immutable");

    let replaced = harness.set_picture(&anna, png().into()).await.unwrap().user.avatar_url.unwrap();
    assert_ne!(replaced, url, "or browsers would show the previous picture");
    assert_eq!(client.get(path).await.status, 404);
    assert_eq!(files(&harness).await, (1, 1), "the previous picture is deleted");
    harness.remove_picture(&anna).await.unwrap();
    assert_eq!(shown(&harness, anna.user).await, None);
    assert_eq!(files(&harness).await, (0, 0));
    harness.remove_picture(&anna).await.unwrap();
    let log = harness.audit_log().await;
    let count = |action: &str| log.iter().filter(|entry| entry.starts_with(action)).count();
    assert_eq!((count("accounts.set_picture"), count("accounts.remove_picture")), (2, 1));
}

#[tokio::test]
async fn what_is_no_picture_is_refused_and_leaves_nothing() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    let refused = harness.set_picture(&anna, "no picture".into()).await.unwrap_err();
    assert!(guildhall_kernel::Error::from(refused).fields().contains_key("image"));
    assert_eq!(files(&harness).await, (0, 0));
}

#[tokio::test]
async fn staff_remove_the_pictures_of_others() {
    let harness = accounts().await;
    let (anna, berta) = (caller(&harness.register_user("anna").await), caller(&harness.register_user("berta").await));
    let boss = superuser(&harness).await;
    harness.set_picture(&anna, png().into()).await.unwrap();
    assert!(matches!(harness.remove_picture_of(&berta, anna.user).await, Err(Error::NotStaff)));
    let staff = Caller::new(berta.user, Roles { staff: true, ..Roles::default() });
    harness.set_picture(&boss, png().into()).await.unwrap();
    assert!(matches!(harness.remove_picture_of(&staff, boss.user).await, Err(Error::NotSuperuser)));
    assert!(shown(&harness, boss.user).await.is_some());
    harness.remove_picture_of(&staff, anna.user).await.unwrap();
    assert_eq!(shown(&harness, anna.user).await, None);
    assert!(matches!(harness.remove_picture_of(&staff, UserId(999)).await, Err(Error::UserNotFound(_))));
}

#[tokio::test]
async fn of_two_pictures_at_once_one_remains() {
    let harness = with_connections(4).await;
    let anna = caller(&harness.register_user("anna").await);
    for _ in 0..5 {
        let (one, other) =
            tokio::join!(harness.set_picture(&anna, png().into()), harness.set_picture(&anna, png().into()));
        let urls = [one.unwrap().user.avatar_url.unwrap(), other.unwrap().user.avatar_url.unwrap()];
        assert!(urls.contains(&shown(&harness, anna.user).await.unwrap()));
        assert_eq!(files(&harness).await, (1, 1));
    }
}

#[tokio::test]
async fn the_picture_goes_with_its_user() {
    let harness = accounts().await;
    let boss = superuser(&harness).await;
    let mut people = Vec::new();
    for name in ["anna", "berta"] {
        let user = caller(&harness.register_user(name).await);
        harness.set_picture(&user, png().into()).await.unwrap();
        people.push(user);
    }
    assert_eq!(files(&harness).await, (2, 2));
    harness.delete_user(&boss, people[0].user, None).await.unwrap();
    assert_eq!(files(&harness).await, (1, 1));
    harness.erase_user(&boss, people[1].user).await.unwrap();
    assert_eq!(files(&harness).await, (0, 0));
}
