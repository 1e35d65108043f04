//! Fills a database with direct messages.

use guildhall_kernel::{Db, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::fill::{BUSY, Volume};

/// Maximum number of conversations.
const CONVERSATIONS: u32 = 2_000;
/// Number of messages of a conversation, if there are fewer conversations than the maximum.
const LENGTH: u32 = 50;
/// The offset between the partners of one busy user and those of the next.
pub(crate) const SPACING: u32 = 20;
/// The beginning of a message.
pub(crate) const TEXT: &str = "The minutes of the last meeting are on the table in the hall; please read them before \
    the next one and send what is missing, number ";
/// A second in the database's unit of time.
const SECOND: i64 = 1_000_000;

// Ids start at 1 in an empty database. Conversation `i`, counted from 0, is between the busy user `i % busy` and one of
// the others. The messages are sent in all conversations in turn, by one and the other. In one of four conversations
// the busy user has not read the last two of the other person.
const PLACES: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(0 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1), \
    placed AS (SELECT i, p.lowest + i % $2 AS low, p.lowest + $2 + (i / $2 + i % $2 * $3) % $4 AS high \
    FROM n CROSS JOIN (SELECT MIN(id) AS lowest FROM users) p) ";
const CONVERSATION: &str = "INSERT INTO messaging_conversation (kind, name, pair_low, pair_high, last_no, member_count, \
    created_at, updated_at) SELECT 'direct', '', low, high, $5, 2, $6, $6 FROM placed ORDER BY i";
const BUSY_MEMBER: &str = "INSERT INTO messaging_member (conversation_id, user_id, state, joined_no, joined_at, \
    last_read_no, cleared_no, unread_count, last_message_id, is_marked_unread) \
    SELECT i + 1, low, 'active', 0, $6, CASE WHEN i % 4 = 0 THEN $5 - 4 ELSE $5 END, 0, \
    CASE WHEN i % 4 = 0 THEN 2 ELSE 0 END, ($5 - 1) * $1 + i + 1, false FROM placed";
const OTHER_MEMBER: &str = "INSERT INTO messaging_member (conversation_id, user_id, state, joined_no, joined_at, \
    last_read_no, cleared_no, unread_count, last_message_id, is_marked_unread) \
    SELECT i + 1, high, 'active', 0, $6, $5, 0, 0, ($5 - 1) * $1 + i + 1, false FROM placed";
const MESSAGES: &str = "WITH RECURSIVE n (j) AS (SELECT CAST($1 AS bigint) UNION ALL SELECT j + 1 FROM n WHERE j + 1 < $2) \
    INSERT INTO messaging_message (conversation_id, no, sender_id, receiver_id, type_id, content, is_system, \
    created_at{column}) \
    SELECT c.id, j / $3 + 1, CASE WHEN j / $3 % 2 = 0 THEN c.pair_low ELSE c.pair_high END, \
    CASE WHEN j / $3 % 2 = 0 THEN c.pair_high ELSE c.pair_low END, \
    (SELECT MIN(id) FROM messaging_message_type WHERE name = 'text'), '{text}' || j, false, $4 + j * $5{value} \
    FROM n JOIN messaging_conversation c ON c.id = 1 + j % $3 ORDER BY j";
/// The terms of a message in the full-text index; `{number}` is a number of the message.
const TERMS: &str = "'zqc' || c.id || ' zqu' || c.pair_low || ' zqu' || c.pair_high || ' number ' || {number}";
/// The full-text index of SQLite.
const WORDS: &str = "INSERT INTO messaging_message_words (rowid, words) SELECT m.id, {terms} \
    FROM messaging_message m JOIN messaging_conversation c ON c.id = m.conversation_id \
    WHERE m.id > $1 AND m.id <= $2 ORDER BY m.id";
/// How many messages one transaction stores.
const BATCH: i64 = 500_000;

/// The conversations of a database: each of the busy users has the same number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversations {
    /// Their number.
    pub count: u32,
    /// The number of messages in each.
    pub length: u32,
    /// The number of users, counted from the first, who have many conversations.
    pub busy: u32,
    /// The number of the other users.
    pub others: u32,
}

impl Volume {
    /// The conversations that the messages belong to.
    pub fn conversations(self) -> Conversations {
        let busy = BUSY.min(self.people / 2).max(1);
        let others = self.people.saturating_sub(busy).max(1);
        let count = (self.messages / LENGTH).min(CONVERSATIONS).min(busy * others);
        Conversations { count, length: self.messages / count.max(1), busy, others }
    }
}

impl Conversations {
    /// The ids of the people with whom one of the busy users exchanges messages.
    pub fn partners_of(self, person: u32) -> Vec<i64> {
        let own = (person..self.count).step_by(self.busy as usize);
        own.map(|i| i64::from(1 + self.busy + (i / self.busy + person * SPACING) % self.others)).collect()
    }
}

/// Fills a database that has users.
pub async fn fill(db: &Db, volume: Volume) -> Result<(), DbErr> {
    let Conversations { count, length, busy, others } = volume.conversations();
    let (count, length) = (i64::from(count), i64::from(length));
    if count == 0 {
        return Ok(());
    }
    let backend = db.backend();
    let start = Timestamp::now().unix_micros() - count * length * SECOND;
    let statement = |sql: &str, values: Vec<i64>| {
        Statement::from_sql_and_values(backend, sql, values.into_iter().map(sea_orm::Value::from))
    };
    let place = |sql: &str| {
        let values = vec![count, busy.into(), SPACING.into(), others.into(), length, start];
        statement(&format!("{PLACES}{sql}"), values)
    };
    let mut batches = vec![vec![place(CONVERSATION), place(BUSY_MEMBER), place(OTHER_MEMBER)]];
    let is_postgres = backend == DbBackend::Postgres;
    let terms = TERMS.replace("{number}", if is_postgres { "j" } else { "m.id" });
    let words = WORDS.replace("{terms}", &terms);
    let value = format!(", strip(to_tsvector('simple', {terms}))");
    let (column, value) = if is_postgres { (", words", value.as_str()) } else { ("", "") };
    let messages = MESSAGES.replace("{text}", TEXT).replace("{column}", column).replace("{value}", value);
    let firsts = (0..count * length).step_by(usize::try_from(BATCH).unwrap_or(usize::MAX));
    batches.extend(firsts.map(|first| {
        let end = (first + BATCH).min(count * length);
        let messages = statement(&messages, vec![first, end, count, start, SECOND]);
        let words = (!is_postgres).then(|| statement(&words, vec![first, end]));
        std::iter::once(messages).chain(words).collect()
    }));
    for batch in &batches {
        db.write(|tx| async move {
            for statement in batch {
                tx.execute_raw(statement.clone()).await?;
            }
            Ok::<(), DbErr>(())
        })
        .await?;
    }
    if is_postgres {
        db.conn().execute_unprepared("VACUUM ANALYZE").await.map(|_| ())
    } else {
        db.write(|tx| async move { tx.execute_unprepared("ANALYZE").await.map(|_| ()) }).await
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::TestDb;

    use super::*;
    use crate::fill::fill as fill_people;

    async fn number(db: &Db, sql: &str) -> i64 {
        let row = db.conn().query_one_raw(Statement::from_string(db.backend(), sql)).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    #[tokio::test]
    async fn filled_conversations_are_consistent() {
        let db = TestDb::with_connections(guildhall_migration::all, 2).await;
        let volume = Volume { people: 30, groups: 1, posts: 10, deals: 0, messages: 6_000 };
        fill_people(&db, volume, "a hash").await.unwrap();
        fill(&db, volume).await.unwrap();

        assert_eq!(volume.conversations(), Conversations { count: 120, length: 50, busy: 15, others: 15 });
        assert_eq!(number(&db, "SELECT COUNT(*) FROM messaging_message").await, 6_000);
        for wrong in [
            "SELECT COUNT(*) FROM messaging_conversation c WHERE last_no <> \
             (SELECT MAX(no) FROM messaging_message m WHERE m.conversation_id = c.id)",
            "SELECT COUNT(*) FROM messaging_member a WHERE last_message_id <> \
             (SELECT MAX(id) FROM messaging_message m WHERE m.conversation_id = a.conversation_id)",
            "SELECT COUNT(*) FROM messaging_member a WHERE unread_count <> (SELECT COUNT(*) FROM messaging_message m \
             WHERE m.conversation_id = a.conversation_id AND m.sender_id <> a.user_id AND m.no > a.last_read_no)",
        ] {
            assert_eq!(number(&db, wrong).await, 0, "{wrong}");
        }
        let partners = "SELECT COUNT(*) FROM messaging_conversation WHERE pair_low = 2";
        let own = volume.conversations().partners_of(1);
        assert_eq!(number(&db, partners).await, 8);
        assert_eq!(own.len(), 8);
        for partner in own {
            let shared =
                format!("SELECT COUNT(*) FROM messaging_conversation WHERE pair_low = 2 AND pair_high = {partner}");
            assert_eq!(number(&db, &shared).await, 1, "{partner}");
        }
    }
}
