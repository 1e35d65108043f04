//! The directory and the pages of people.

use crate::harness::site;

#[tokio::test]
async fn people_are_found_by_the_beginning_of_their_name() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    site.user("benedict").await;
    assert_eq!(browser.get("/people/").await.find("#results li").len(), 2);
    let page = browser.get("/people/?q=bene").await;
    assert_eq!(page.find("#results li").len(), 1);
    assert!(browser.get("/people/?q=zzz").await.text.contains("Nothing found"));
}

#[tokio::test]
async fn a_person_is_followed_and_unfollowed() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let path = format!("/people/{}/", ben.user);
    let page = browser.fill(&path, &format!("{path}follow/"), &[]).await;
    assert_eq!(page.location(), path);
    assert!(browser.get(&path).await.text.contains("You follow"));
    browser.fill(&path, &format!("{path}unfollow/"), &[]).await;
    assert!(!browser.get(&path).await.text_of(".card-pad").contains("You follow"));
    assert_eq!(browser.get("/people/999999/").await.status, 404);
}
