use std::time::Duration;

use guildhall_kernel::{
    db::{self, notify},
    testing::TestDb,
};
use tokio::time::timeout;

#[tokio::test]
async fn notifications_arrive_and_a_lost_connection_is_reported() {
    let database = TestDb::new(Vec::new).await;
    let Some(mut listener) = database.listener("kernel_test") else { return };
    assert_eq!(listener.next().await.unwrap(), None, "the connection begins");
    notify(database.conn(), "kernel_test", "hello").await.unwrap();
    let next = timeout(Duration::from_secs(10), listener.next()).await.unwrap();
    assert_eq!(next.unwrap().as_deref(), Some("hello"));
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(db::scalar::<i64>(database.conn(), terminate, []).await.unwrap(), Some(1));
    let next = timeout(Duration::from_secs(10), listener.next()).await.unwrap();
    assert_eq!(next.unwrap(), None, "another connection begins");
    notify(database.conn(), "kernel_test", "again").await.unwrap();
    let next = timeout(Duration::from_secs(10), listener.next()).await.unwrap();
    assert_eq!(next.unwrap().as_deref(), Some("again"));
}
