use guildhall_community::{NewGroup, Posts, Search};

use crate::harness::{community, named, person, post, private};

#[tokio::test]
async fn search_ignores_case_and_accents_and_query_operators() {
    let harness = community().await;
    let cafe = harness.posts.create_post(&person(1), post("Ein Café-Gespräch über Rust")).await.unwrap().id;
    harness.posts.create_post(&person(1), post("something else")).await.unwrap();
    harness.group_of(1, NewGroup { description: "Wir lesen Bücher".into(), ..named("Lesekreis") }).await;
    harness.group_of(1, private("Geheime Leser")).await;
    for words in ["cafe", "CAFÉ", "gesprach rust", "Gesp", "rust café"] {
        let found = harness.feed.search(Some(person(2)), words.into(), 10).await.unwrap();
        assert_eq!(found.posts.iter().map(|post| post.id).collect::<Vec<_>>(), [cafe], "{words}");
    }
    let groups = harness.feed.search(Some(person(2)), "bucher lese".into(), 10).await.unwrap().groups;
    assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["Lesekreis"]);
    for words in ["", "\"", "*", "x", "ab🅐cd", "NEAR(", "a OR b", "'; DROP TABLE people", "caf* -else", "😀", "%", "\\"]
    {
        assert!(harness.feed.search(Some(person(2)), words.into(), 10).await.unwrap().posts.is_empty(), "{words}");
    }
    harness.group_of(3, named("shared")).await;
    let shared = harness.group_of(1, named("both")).await;
    harness.add_member(shared, 20).await;
    harness.add_member(shared, 2).await;
    let people = harness.feed.search(Some(person(2)), "person-2".into(), 10).await.unwrap().members;
    assert_eq!(people.iter().map(|person| person.id.0).collect::<Vec<_>>(), [2, 20]);
    assert!(harness.feed.search(Some(person(3)), "person-2".into(), 10).await.unwrap().members.is_empty());
}

#[tokio::test]
async fn fault_r28_words_are_found_in_text_without_spaces() {
    let harness = community().await;
    for (text, words) in
        [("東京大学で勉強する", ["大学", "勉強"]), ("我家在上海东边", ["上海", "东边"]), ("ภาษาไทยใต้", ["ไทย", "ใต้"])]
    {
        let id = harness.posts.create_post(&person(1), post(text)).await.unwrap().id;
        for words in words {
            let found = harness.feed.search(Some(person(2)), words.into(), 10).await.unwrap();
            assert_eq!(found.posts.iter().map(|post| post.id).collect::<Vec<_>>(), [id], "{words}");
        }
    }
    assert!(harness.feed.search(Some(person(2)), "学大".into(), 10).await.unwrap().posts.is_empty());
}
