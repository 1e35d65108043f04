//! Pictures of groups.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::json;

use super::{Fixture, GROUPS};

#[tokio::test]
async fn an_image_is_validated_reencoded_and_served_at_a_signed_url() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall", "is_private": true})).await;
    let put = async |who: &str, bytes: Vec<u8>| {
        let form = Form::new().part("image", Part::bytes(bytes).file_name("../../evil.png"));
        let request =
            fixture.server.request(Method::PUT, &format!("{GROUPS}{hall}/image/")).header("authorization", who);
        fixture.server.send(request.multipart(form)).await
    };
    let gif = [
        &b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00"[..],
        b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b",
    ]
    .concat();
    assert_eq!(put(&fixture.eve, gif.clone()).await.status, 404);
    assert_eq!(put(&fixture.anna, b"<svg onload=alert(1)>".to_vec()).await.status, 400);
    assert_eq!(put(&fixture.anna, vec![0; 11 << 20]).await.status, 413);
    let uploaded = put(&fixture.anna, gif).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.text);
    let group = uploaded.json();
    let url = group["image_url"].as_str().unwrap();
    let picture = fixture.server.send(fixture.server.client.get(url)).await;
    assert_eq!((picture.status.as_u16(), picture.headers["content-type"].to_str().unwrap()), (200, "image/jpeg"));
    assert_eq!(picture.headers["x-content-type-options"], "nosniff");
    let unsigned = fixture.server.send(fixture.server.client.get(url.split('?').next().unwrap())).await;
    assert_eq!(unsigned.status, 401);
    let forged = url.replace("v=medium", "v=large");
    assert_eq!(fixture.server.send(fixture.server.client.get(forged)).await.status, 404);
    let deleted = fixture.delete(&format!("{GROUPS}{hall}/image/"), &fixture.anna).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(fixture.server.send(fixture.server.client.get(url)).await.status, 404, "the file is deleted, too");
    let fallback = fixture.get(&format!("{GROUPS}{hall}/"), &fixture.anna).await.json();
    let fallback = fixture.server.send(fixture.server.client.get(fallback["image_url"].as_str().unwrap())).await;
    assert_eq!((fallback.status.as_u16(), fallback.headers["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
}
