use std::sync::Arc;

use axum::{Router, body::Body, http::Request};
use guildhall_community::{
    CommunityState, Error, Group, GroupId, Joined, MockAttachments, MockBookmarks, MockComments, MockCourses,
    MockDrafts, MockEnrolments, MockEvents, MockFeed, MockFollows, MockGroups, MockInvites, MockJoinRequests,
    MockLessons, MockMembers, MockModeration, MockPictures, MockPolls, MockPosts, MockReactions, MockReports,
    MockReviewQueue, MockRsvps, MockSearch, Posting, RequestId, router,
};
use guildhall_kernel::{
    Page, Person, Roles, Timestamp, UserId,
    testing::{TestClient, signed_in_as},
};
use serde_json::json;

use crate::harness::community;

/// The services that these tests set expectations on.
#[derive(Default)]
struct Mocks {
    groups: MockGroups,
    members: MockMembers,
    pictures: MockPictures,
}

async fn client(expect: impl FnOnce(&mut Mocks)) -> TestClient {
    let mut mocks = Mocks::default();
    expect(&mut mocks);
    let state = CommunityState {
        groups: Arc::new(mocks.groups),
        members: Arc::new(mocks.members),
        pictures: Arc::new(mocks.pictures),
        requests: Arc::new(MockJoinRequests::new()),
        invites: Arc::new(MockInvites::new()),
        moderation: Arc::new(MockModeration::new()),
        posts: Arc::new(MockPosts::new()),
        attachments: Arc::new(MockAttachments::new()),
        feed: Arc::new(MockFeed::new()),
        bookmarks: Arc::new(MockBookmarks::new()),
        reactions: Arc::new(MockReactions::new()),
        polls: Arc::new(MockPolls::new()),
        follows: Arc::new(MockFollows::new()),
        comments: Arc::new(MockComments::new()),
        drafts: Arc::new(MockDrafts::new()),
        reports: Arc::new(MockReports::new()),
        reviews: Arc::new(MockReviewQueue::new()),
        search: Arc::new(MockSearch::new()),
        courses: Arc::new(MockCourses::new()),
        lessons: Arc::new(MockLessons::new()),
        enrolments: Arc::new(MockEnrolments::new()),
        events: Arc::new(MockEvents::new()),
        rsvps: Arc::new(MockRsvps::new()),
        files: community().await.files,
        auth: signed_in_as(Roles::default()),
        url: "https://example.org".parse().unwrap(),
    };
    TestClient::new(Router::new().nest("/api/community", router(state).into()))
}

fn group() -> Group {
    Group {
        id: GroupId(3),
        name: "Hall".into(),
        slug: "hall".into(),
        description: String::new(),
        category: "general".into(),
        is_private: false,
        is_listed: false,
        is_corporate_group: false,
        image_url: "https://example.org/x.svg".into(),
        image_urls: None,
        banner_url: None,
        banner_urls: None,
        owner: Some(Person { id: UserId(8), username: "berta".into(), display_name: "Berta".into(), avatar_url: None }),
        creator: Some(Person { id: UserId(7), username: "anna".into(), display_name: "Anna".into(), avatar_url: None }),
        member_count: Some(1),
        post_count: Some(0),
        max_members: None,
        posting: Posting::Members,
        approves_posts: false,
        members_invite: false,
        is_member: true,
        is_moderator: true,
        moderators: vec![UserId(7)],
        courses: Vec::new(),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

fn group_json() -> serde_json::Value {
    json!({
        "id": 3, "name": "Hall", "slug": "hall", "description": "", "category": "general", "is_private": false,
        "is_listed": false, "is_corporate_group": false, "image_url": "https://example.org/x.svg", "image_urls": null,
        "banner_url": null, "banner_urls": null,
        "creator": {"id": 7, "username": "anna", "display_name": "Anna", "avatar_url": null},
        "owner": {"id": 8, "username": "berta", "display_name": "Berta", "avatar_url": null},
        "member_count": 1, "post_count": 0, "max_members": null, "posting": "members", "approves_posts": false,
        "members_invite": false, "is_member": true, "is_moderator": true, "moderators": [7], "courses": [],
        "created_at": "1970-01-01T00:00:00.000000Z", "updated_at": "1970-01-01T00:00:00.000000Z",
    })
}

#[tokio::test]
async fn creating_a_group_returns_201_and_the_group() {
    let client = client(|mocks| {
        mocks
            .groups
            .expect_create_group()
            .withf(|caller, new| caller.user == UserId(7) && new.category == "general" && !new.is_private)
            .returning(|_, _| Ok(group()));
    })
    .await;
    let body = json!({"name": "Hall", "description": "", "is_private": false, "is_corporate_group": false});
    let response = client.with("Token 7").post("/api/community/groups/", body.clone()).await;
    assert_eq!((response.status.as_u16(), response.json()), (201, group_json()));
    assert_eq!(response.headers["etag"], "\"0\"");
    assert_eq!(client.post("/api/community/groups/", body).await.status, 401);
    let missing = client.with("Token 7").post("/api/community/groups/", json!({})).await;
    assert_eq!(missing.json()["errors"]["name"][0], "This field is required.");
}

#[tokio::test]
async fn lists_are_paginated() {
    let client = client(|mocks| {
        mocks
            .groups
            .expect_groups()
            .withf(|_, filter, _| filter.joined == Some(true) && filter.category.as_deref() == Some("food"))
            .returning(|_, _, _| {
                Ok(Page { count: 1, count_capped: false, next: None, previous: None, results: vec![group()] })
            });
    })
    .await;
    let response = client.with("Bearer 7").get("/api/community/groups/?joined=true&category=food").await;
    assert_eq!(response.json(), json!({"count": 1, "next": null, "previous": null, "results": [group_json()]}));
    for query in ["joined=perhaps", "page=0", "search=%00"] {
        let response = client.with("Bearer 7").get(&format!("/api/community/groups/?{query}")).await;
        assert_eq!(response.status, 400, "{query}");
    }
    let response = client.with("Bearer 7").get("/api/community/groups/?joined=perhaps").await;
    assert!(response.json()["errors"]["joined"].is_array(), "{}", response.text);
}

#[tokio::test]
async fn a_group_is_read_and_deleted() {
    let client = client(|mocks| {
        mocks
            .groups
            .expect_group()
            .returning(|_, id| if id.0 == 3 { Ok(group()) } else { Err(Error::GroupNotFound(id)) });
        mocks.groups.expect_delete_group().returning(|_, _, known| Ok(known.check(Timestamp::EPOCH)?));
    })
    .await;
    let client = client.with("Bearer 7");
    assert_eq!(client.get("/api/community/groups/3/").await.json(), group_json());
    let missing = client.get("/api/community/groups/4/").await;
    assert_eq!((missing.status.as_u16(), missing.code().as_str()), (404, "group_not_found"));
    assert_eq!(client.get("/api/community/groups/x/").await.status, 404);
    assert_eq!(client.delete("/api/community/groups/3/").await.status, 204);
    let stale = Request::delete("/api/community/groups/3/")
        .header("authorization", "Bearer 7")
        .header("if-match", "\"old\"")
        .body(Body::empty());
    assert_eq!(client.send_raw(stale.unwrap()).await.code(), "stale");
}

#[tokio::test]
async fn the_generated_picture_is_an_svg_image() {
    let client = client(|_| ()).await;
    let picture = client.get("/api/community/pictures/RP-137.svg").await;
    assert_eq!((picture.status.as_u16(), &picture.headers["content-type"]), (200, &"image/svg+xml".parse().unwrap()));
    assert!(picture.text.contains(">RP</text>"));
    assert_eq!(client.get("/api/community/pictures/%E7%8E%8B-1.svg").await.status, 200);
    assert_eq!(client.get("/api/community/pictures/%3Cscript%3E-1.svg").await.code(), "not_found");
}

#[tokio::test]
async fn the_status_of_joining_reflects_the_outcome() {
    for (joined, status, body) in [
        (Joined::Member { new: true }, 201, json!({"status": "member"})),
        (Joined::Member { new: false }, 200, json!({"status": "member"})),
        (Joined::Requested { request_id: RequestId(4) }, 202, json!({"status": "requested", "request_id": 4})),
    ] {
        let client = client(|mocks| {
            mocks.members.expect_join().returning(move |_, _, _, _| Ok(joined));
            mocks.members.expect_leave().returning(|_, _| Ok(false));
        });
        let client = client.await.with("Bearer 7");
        // With a body, with an empty object, and without a body.
        for sent in [json!({"invite_token": "x"}), json!({}), serde_json::Value::Null] {
            let response = client.post("/api/community/groups/3/join/", sent).await;
            assert_eq!((response.status.as_u16(), response.json()), (status, body.clone()));
        }
        assert_eq!(client.post("/api/community/groups/3/leave/", serde_json::Value::Null).await.status, 204);
    }
}

#[tokio::test]
async fn a_picture_is_uploaded_as_a_form() {
    let client = client(|mocks| {
        mocks
            .pictures
            .expect_set_picture()
            .withf(|_, _, _, content| content.as_ref() == b"bytes")
            .returning(|_, _, _, _| Ok(group()));
    });
    let client = client.await;
    let send = |content_type: &'static str, body: &'static str| {
        let request = Request::put("/api/community/groups/3/image/")
            .header("authorization", "Bearer 7")
            .header("content-type", content_type)
            .body(Body::from(body))
            .unwrap();
        let client = client.clone();
        async move { client.send_raw(request).await }
    };
    let form = "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\nbytes\r\n--b--\r\n";
    assert_eq!(send("multipart/form-data; boundary=b", form).await.status, 200);
    assert_eq!(send("application/json", "{}").await.code(), "unsupported_media_type");
    assert_eq!(send("multipart/form-data; boundary=b", "--b--\r\n").await.status, 400);
}
