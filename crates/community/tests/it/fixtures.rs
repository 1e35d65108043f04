use std::collections::BTreeMap;

use axum::body::Bytes;
use guildhall_community::{
    Attachments, Bookmarks, Comments, Drafts, Events, GroupId, Invites, Joined, MemberFilter, Members, Moderation,
    NewComment, NewEvent, NewInvite, NewPoll, NewPost, NewReport, PictureKind, Pictures, Polls, PostId, Posts,
    Reactions, Reports, Role, Rsvps, Visibility, Vote,
};
use guildhall_files::Upload;
use guildhall_kernel::{PageQuery, UserId};

use crate::harness::{Harness, listed, named, person, post, post_in, private, staff};

pub(crate) fn page() -> PageQuery {
    PageQuery::new(1, 100)
}

pub(crate) fn for_person(id: i64) -> NewInvite {
    NewInvite { user_id: Some(Some(UserId(id))), ..NewInvite::default() }
}

pub(crate) async fn join(
    harness: &Harness,
    user: i64,
    group: guildhall_community::GroupId,
) -> Result<Joined, guildhall_community::Error> {
    harness.groups.join(&person(user), group, None, String::new()).await
}

pub(crate) async fn members(harness: &Harness, group: guildhall_community::GroupId) -> Vec<(i64, Role)> {
    let page = harness.groups.members(&staff(60), group, MemberFilter::default(), page()).await.unwrap();
    page.results.into_iter().map(|member| (member.user.unwrap().id.0, member.role)).collect()
}

pub(crate) fn upload(name: &str, content_type: &str, bytes: impl Into<Bytes>) -> Upload {
    Upload { name: name.into(), content_type: content_type.into(), bytes: bytes.into(), fields: BTreeMap::new() }
}

/// A picture in a single colour.
pub(crate) fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::DynamicImage::new_rgb8(64, 32);
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

/// Groups of each kind with posts of each visibility by their owner, user 1. User 2 is a member of all groups, user 3
/// of none, and user 4 has left a post in each and is no longer a member.
pub(crate) async fn groups_with_posts(harness: &Harness) -> BTreeMap<(&'static str, &'static str), PostId> {
    let mut posts = BTreeMap::new();
    for (name, new) in [("hall", named("hall")), ("den", private("den")), ("club", listed("club"))] {
        let group = harness.group_of(1, new).await;
        harness.add_member(group, 2).await;
        harness.add_member(group, 4).await;
        for (label, visibility) in
            [("group_only", Visibility::GroupOnly), ("public", Visibility::Public), ("private", Visibility::Private)]
        {
            let new = NewPost { visibility: Some(visibility), ..post_in(group, label) };
            posts.insert((name, label), harness.posts.create_post(&person(1), new).await.unwrap().id);
        }
        posts.insert((name, "left"), harness.posts.create_post(&person(4), post_in(group, "left")).await.unwrap().id);
        harness.groups.leave(&person(4), group).await.unwrap();
    }
    for (label, visibility) in [("public", Visibility::Public), ("private", Visibility::Private)] {
        let new = NewPost { visibility: Some(visibility), ..post(label) };
        posts.insert(("none", label), harness.posts.create_post(&person(1), new).await.unwrap().id);
    }
    posts
}

/// A group with content of every kind.
pub(crate) async fn full_group(harness: &Harness) -> GroupId {
    let den = harness.group_of(1, listed("den")).await;
    for user in 2..=6 {
        harness.add_member(den, user).await;
    }
    harness.groups.add_moderator(&person(1), den, UserId(2)).await.unwrap();
    harness.groups.set_picture(&person(1), den, PictureKind::Image, png().into()).await.unwrap();
    harness.groups.set_picture(&person(1), den, PictureKind::Banner, png().into()).await.unwrap();
    harness.groups.join(&person(30), den, None, "please".into()).await.unwrap();
    harness.groups.invite(&person(1), den, NewInvite::default()).await.unwrap();
    let invite = NewInvite { user_id: Some(Some(UserId(31))), ..NewInvite::default() };
    harness.groups.invite(&person(1), den, invite).await.unwrap();
    let ban = guildhall_community::NewBan { user_id: UserId(32), reason: String::new(), days: None };
    harness.moderation.ban(&person(1), den, ban).await.unwrap();
    let poll = NewPoll { options: vec!["a".into(), "b".into()], is_multiple: true, hours: None };
    let new =
        NewPost { poll: Some(poll), tags: vec!["t".into()], ..post_in(den, "hello @person-3 https://example.com/") };
    let id = harness.posts.create_post(&person(2), new).await.unwrap().id;
    harness.posts.attach(&person(2), id, upload("a.png", "image/png", png())).await.unwrap();
    harness.posts.vote(&person(3), id, Vote { options: vec![0, 1] }).await.unwrap();
    harness.posts.react(&person(3), id, "like".into()).await.unwrap();
    harness.feed.bookmark(&person(3), id, true).await.unwrap();
    let first = NewComment { content: "@person-4".into(), parent: None };
    let first = harness.posts.create_comment(&person(3), id, first).await.unwrap().id;
    harness
        .posts
        .create_comment(&person(4), id, NewComment { content: "x".into(), parent: Some(first) })
        .await
        .unwrap();
    harness.posts.like_comment(&person(4), first, Some(true)).await.unwrap();
    harness.moderation.report_post(&person(5), id, NewReport { reason: "x".into() }).await.unwrap();
    harness.moderation.report_comment(&person(5), first, NewReport { reason: "x".into() }).await.unwrap();
    harness.posts.save_draft(&person(3), post_in(den, "later")).await.unwrap();
    harness.db.sql("INSERT INTO community_course (id, title, description, description_html, is_public, lesson_count, created_at, updated_at) VALUES (1, 'c', '', '', true, 0, 0, 0) ON CONFLICT DO NOTHING").await.unwrap();
    harness
        .db
        .sql(&format!("INSERT INTO community_group_course (group_id, course_id, position) VALUES ({den}, 1, 0)"))
        .await
        .unwrap();
    let new: NewEvent = serde_json::from_value(serde_json::json!({
        "title": "meeting", "starts_at": "2100-01-01T10:00:00Z", "ends_at": "2100-01-01T11:00:00Z",
    }))
    .unwrap();
    let event = harness.events.create_event(&person(1), den, new).await.unwrap().id;
    let coming = serde_json::from_value(serde_json::json!({"status": "going"})).unwrap();
    harness.events.answer_event(&person(3), event, coming).await.unwrap();
    den
}
