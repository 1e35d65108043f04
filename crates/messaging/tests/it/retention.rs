use std::time::Duration;

use guildhall_kernel::job::Job;
use guildhall_messaging::{Reading, Settings};

use crate::harness::{contents, messaging_with, person};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn old_messages_are_deleted_if_the_settings_say_so() {
    for (keep_days, left) in [(0, vec!["old", "new"]), (30, vec!["new"])] {
        let settings = Settings { keep_days, ..Settings::default().without_limits() };
        let harness = messaging_with(1, settings).await;
        harness.say(1, 2, "old").await;
        harness.clock.advance(31 * DAY);
        harness.say(1, 2, "new").await;
        harness.run().await.unwrap();
        assert_eq!(contents(&harness.history(2, 1).await.messages), left);
        // The streams of the conversation and of both people.
        assert_eq!(harness.events_with("\"content\":\"old\"").await.len(), 3 * (left.len() - 1));
        assert_eq!(harness.events_with("\"content\":\"new\"").await.len(), 3);
        assert_eq!(harness.unread_count(&person(2)).await.unwrap(), i64::try_from(left.len()).unwrap());
    }
}
