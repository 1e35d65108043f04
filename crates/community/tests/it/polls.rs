use std::time::Duration;

use guildhall_community::{NewPoll, NewPost, Polls, PostId, Posts, Vote};

use crate::harness::{code, community, person, post};

#[tokio::test]
async fn polls_count_each_user_once() {
    let harness = community().await;
    let ask = |is_multiple, hours| NewPost {
        poll: Some(NewPoll { options: vec!["a".into(), "b".into(), "c".into()], is_multiple, hours }),
        ..post("which?")
    };
    let one = harness.posts.create_post(&person(1), ask(false, Some(1))).await.unwrap();
    assert_eq!(one.poll.as_ref().unwrap().options.len(), 3);
    let vote = |user: i64, id: PostId, options: &[i64]| {
        let vote = Vote { options: options.to_vec() };
        let harness = &harness;
        async move { harness.posts.vote(&person(user), id, vote).await }
    };
    vote(2, one.id, &[0]).await.unwrap();
    let poll = vote(2, one.id, &[1]).await.unwrap();
    assert_eq!(poll.options.iter().map(|option| option.votes).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(poll.my_votes, [1]);
    assert_eq!(code(vote(2, one.id, &[0, 1]).await), "invalid");
    assert_eq!(code(vote(2, one.id, &[7]).await), "invalid");
    assert_eq!(vote(2, one.id, &[]).await.unwrap().my_votes, Vec::<i64>::new());
    let many = harness.posts.create_post(&person(1), ask(true, None)).await.unwrap();
    vote(2, many.id, &[0, 2]).await.unwrap();
    let poll = vote(3, many.id, &[2]).await.unwrap();
    assert_eq!(poll.options.iter().map(|option| option.votes).collect::<Vec<_>>(), [1, 0, 2]);
    harness.clock.advance(Duration::from_secs(7200));
    assert_eq!(code(vote(2, one.id, &[0]).await), "poll_closed");
    let plain = harness.posts.create_post(&person(1), post("x")).await.unwrap();
    assert_eq!(code(vote(2, plain.id, &[0]).await), "not_found");
    harness.assert_counters().await;
}
