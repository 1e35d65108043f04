//! Fills databases with users, groups and posts.

use std::{fmt, iter, path::Path};

use anyhow::{Context, ensure};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use guildhall_accounts::HashCost;
use guildhall_kernel::{Db, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde::Serialize;

use crate::{deals, messages};

/// The password of all users.
pub const PASSWORD: &str = "correct horse battery";
/// A word in half of the posts, and in the descriptions of half of the groups.
pub const COMMON: &str = "harvest";
/// A word in one post of a hundred.
pub const UNCOMMON: &str = "lantern";
/// A word in one post of ten thousand, which is public.
pub const RARE: &str = "quartet";
/// How many users are in many groups, counted from the first. The load signs in as some of them.
pub const BUSY: u32 = 100;

/// How many groups each of the [`BUSY`] users joins, in addition to the memberships that every user has.
const JOINED: u32 = 50;
/// The offset between the groups of one busy user and those of the next.
const OFFSET: u32 = 7;
/// Members per group, in addition to its owner and the busy users.
const MEMBERS_PER_GROUP: i64 = 4;
/// A second in the database's unit of time.
const SECOND: i64 = 1_000_000;
/// The words of posts. All have seven letters, so that SQL can select them by position.
const WORDS: &str = "balance blanket captain chapter climate cottage country courage curtain dessert diamond dolphin \
    economy emerald factory feather fiction freedom gallery garment glimpse grammar gravity history holiday horizon \
    journey justice kitchen leather library machine";

// One statement per table. The columns are named and nullable ones are omitted, so that new columns with a default need
// no change here.
const PEOPLE: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    INSERT INTO users (public_id, username, username_key, display_name, first_name, last_name, email, email_key, \
    email_verified_at, password_hash, is_active, is_teacher, is_staff, is_superuser, auth_epoch, created_at, \
    updated_at) \
    SELECT {uuid}, 'person' || i, 'person' || i, '', 'First' || i, 'Last' || i, 'person' || i || '@example.org', \
    'person' || i || '@example.org', $3 + i * $4, $2, true, false, false, false, 0, $3 + i * $4, $3 + i * $4 FROM n";
const GROUPS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1), \
    named AS (SELECT i, CASE WHEN i % 2 = 0 THEN '{common}' ELSE 'weather' END AS word FROM n) \
    INSERT INTO community_group (name, name_key, slug, description, category, is_private, is_corporate_group, \
    creator_id, search_text, created_at, updated_at) \
    SELECT 'Group ' || i, 'group ' || i, 'group-' || i, \
    'What the members have in common, in a sentence or two: ' || word || '.', 'general', false, false, \
    (SELECT MIN(id) FROM users) + i % $2, \
    'group ' || i || ' what the members have in common in a sentence or two ' || word, \
    $3 + i * $4, $3 + i * $4 FROM named";
const OWNERS: &str = "INSERT INTO community_membership (group_id, user_id, role, joined_at) \
    SELECT id, creator_id, 'owner', created_at FROM community_group";
const MEMBERS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    INSERT INTO community_membership (group_id, user_id, role, joined_at) \
    SELECT g.id, p.lowest + (g.creator_id - p.lowest + i) % $2, 'member', g.created_at \
    FROM community_group g CROSS JOIN n CROSS JOIN (SELECT MIN(id) AS lowest FROM users) p";
const BUSY_MEMBERSHIPS: &str = "WITH RECURSIVE n (i) AS \
    (SELECT CAST(0 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) \
    INSERT INTO community_membership (group_id, user_id, role, joined_at) \
    SELECT g.id, p.lowest + i / $2, 'member', g.created_at FROM n \
    CROSS JOIN (SELECT MIN(id) AS lowest FROM users) p CROSS JOIN (SELECT MIN(id) AS lowest FROM community_group) f \
    JOIN community_group g ON g.id = f.lowest + (i / $2 * $3 + i % $2 * $4) % $5 \
    WHERE true ON CONFLICT (group_id, user_id) DO NOTHING";
// The posts are distributed over the groups in turn, and within a group over the owner and the first members. Every
// tenth post is in no group.
const POSTS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1), \
    placed AS (SELECT i, g.id AS group_id, $2 + i * $3 AS moment, \
        p.lowest + (CASE WHEN g.id IS NULL THEN i / 10 \
            ELSE g.creator_id - p.lowest + (i / 10 * 9 + i % 10 - 1) / $4 % $5 END) % $6 AS author_id \
        FROM n CROSS JOIN (SELECT MIN(id) AS lowest FROM users) p \
        CROSS JOIN (SELECT MIN(id) AS lowest FROM community_group) f \
        LEFT JOIN community_group g ON g.id = f.lowest + (i / 10 * 9 + i % 10 - 1) % $4 AND i % 10 <> 0 ORDER BY i), \
    written AS (SELECT placed.*, \
        substr(words, CAST(1 + i * 5 % 32 * 8 AS integer), 72) \
        || CASE WHEN i / 4 % 2 = 0 THEN '{common} ' ELSE 'weather ' END \
        || substr(words, CAST(1 + i / 3 * 7 % 32 * 8 AS integer), 72) \
        || CASE WHEN i / 4 % 100 = 36 THEN '{uncommon} ' ELSE 'orchard ' END \
        || substr(words, CAST(1 + i / 5 * 11 % 32 * 8 AS integer), 72) \
        || CASE WHEN i % 10000 = 76 THEN '{rare} ' ELSE 'village ' END \
        || substr(words, CAST(1 + i / 7 * 13 % 32 * 8 AS integer), 71) AS content \
        FROM placed CROSS JOIN (SELECT '{words}' AS words) AS w) \
    INSERT INTO community_post (group_id, author_id, title, content, content_html, visibility, category, is_approved, \
    is_pinned, is_featured, is_locked, has_extras, comment_count, reactions, hot, search_text, created_at, updated_at) \
    SELECT group_id, author_id, '', content, '<p>' || content || '</p>', \
    CASE WHEN group_id IS NULL OR i % 4 = 0 THEN 'public' ELSE 'group_only' END, 'general', true, \
    false, false, false, false, 0, CASE WHEN i / 10 % 10 = 3 THEN '{liked}' ELSE '{}' END, \
    moment, content, moment, moment FROM written";
const REACTIONS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < 2) \
    INSERT INTO community_reaction (post_id, user_id, kind, created_at) \
    SELECT c.id, p.lowest + (c.author_id - p.lowest + i) % $1, 'like', c.created_at \
    FROM community_post c CROSS JOIN n CROSS JOIN (SELECT MIN(id) AS lowest FROM users) p WHERE c.reactions <> '{}'";
const COUNTS: &str = "UPDATE community_group SET \
    member_count = (SELECT COUNT(*) FROM community_membership m WHERE m.group_id = community_group.id), \
    post_count = (SELECT COUNT(*) FROM community_post c WHERE c.group_id = community_group.id)";

/// The number of rows in a database.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Volume {
    /// Users; more than the members of a group.
    pub people: u32,
    /// Groups; at least one.
    pub groups: u32,
    /// Posts; at least ten.
    pub posts: u32,
    /// Deals of one organization; without deals there is no organization.
    pub deals: u32,
    /// Direct messages; see [`Conversations`](crate::messages::Conversations).
    pub messages: u32,
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} people, {} groups, {} posts", self.people, self.groups, self.posts)?;
        if self.deals > 0 {
            write!(f, ", {} deals", self.deals)?;
        }
        if self.messages > 0 { write!(f, ", {} messages", self.messages) } else { Ok(()) }
    }
}

// Ids start at 1 in an empty database. This arithmetic must match the statements above.
impl Volume {
    fn joined(self) -> u32 {
        JOINED.min(self.groups)
    }

    /// The ids of the groups that one of the [`BUSY`] users has joined.
    pub fn groups_of(self, person: u32) -> Vec<u32> {
        let spacing = self.groups / self.joined();
        (0..self.joined()).map(|number| 1 + (person * OFFSET + number * spacing) % self.groups).collect()
    }

    /// The ids of the posts of a group.
    pub fn posts_of(self, group: u32) -> impl Iterator<Item = u32> {
        let in_groups = self.posts - self.posts / 10;
        let indices = iter::successors(Some(group - 1), move |index| Some(index + self.groups));
        indices.take_while(move |index| *index < in_groups).map(|index| index / 9 * 10 + index % 9 + 1)
    }

    /// The ids of the public posts that are in no group.
    pub fn open_posts(self) -> impl Iterator<Item = u32> {
        (1..=self.posts / 10).map(|number| number * 10)
    }
}

/// The username of a user, counted from 0.
pub fn username(person: u32) -> String {
    format!("person{}", person + 1)
}

/// The hash of [`PASSWORD`], in PHC format.
pub fn password_hash(cost: HashCost) -> anyhow::Result<String> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(PASSWORD.as_bytes())?.to_string())
}

/// Fills a database with empty tables.
pub async fn fill(db: &Db, volume: Volume, password_hash: &str) -> Result<(), DbErr> {
    let statements = statements(db.backend(), volume, password_hash);
    db.write(|tx| {
        let statements = statements.clone();
        async move {
            for statement in statements {
                tx.execute_raw(statement).await?;
            }
            Ok::<(), DbErr>(())
        }
    })
    .await?;
    if db.backend() == DbBackend::Postgres {
        // Otherwise autovacuum would run during the measurement.
        db.conn().execute_unprepared("VACUUM ANALYZE").await?;
    } else {
        db.write(|tx| async move { tx.execute_unprepared("ANALYZE").await.map(|_| ()) }).await?;
    }
    Ok(())
}

fn statements(backend: DbBackend, volume: Volume, password_hash: &str) -> Vec<Statement> {
    let Volume { people, groups, posts, deals: _, messages: _ } = volume;
    let (people, groups, posts) = (i64::from(people), i64::from(groups), i64::from(posts));
    let (busy, joined) = (people.min(BUSY.into()), i64::from(volume.joined()));
    let uuid = if backend == DbBackend::Postgres { "gen_random_uuid()" } else { "randomblob(16)" };
    let start = Timestamp::now().unix_micros() - people.max(groups).max(posts) * SECOND;
    let statement = |sql: &str, values: Vec<sea_orm::Value>| Statement::from_sql_and_values(backend, sql, values);
    let value = |number: i64| sea_orm::Value::from(number);
    let words = format!("{WORDS} {WORDS}");
    let text = [("{common}", COMMON), ("{uncommon}", UNCOMMON), ("{rare}", RARE), ("{words}", words.as_str())];
    let expand = |sql: &str| text.iter().fold(sql.to_owned(), |sql, (name, words)| sql.replace(name, words));
    vec![
        statement(
            &PEOPLE.replace("{uuid}", uuid),
            vec![people.into(), password_hash.into(), start.into(), SECOND.into()],
        ),
        statement(&expand(GROUPS), [groups, people, start, SECOND].map(value).into()),
        statement(OWNERS, Vec::new()),
        statement(MEMBERS, [MEMBERS_PER_GROUP, people].map(value).into()),
        statement(BUSY_MEMBERSHIPS, [busy * joined, joined, OFFSET.into(), groups / joined, groups].map(value).into()),
        statement(
            &expand(POSTS).replace("{liked}", r#"{"like":2}"#),
            [posts, start, SECOND, groups, MEMBERS_PER_GROUP + 1, people].map(value).into(),
        ),
        statement(REACTIONS, [people].map(value).into()),
        statement(COUNTS, Vec::new()),
    ]
}

/// Fills the database at a URL. Returns its version and durability settings.
///
/// # Errors
/// The database already has users.
pub async fn fill_at(url: &str, volume: Volume, password_hash: &str) -> anyhow::Result<String> {
    let db = Db::connect(url, 1).await?;
    let people = db.conn().query_one_raw(Statement::from_string(db.backend(), "SELECT COUNT(*) FROM users")).await?;
    let people: i64 = people.context("cannot count the users")?.try_get_by_index(0)?;
    ensure!(people == 0, "the database already has users; use an empty one for the benchmark");
    fill(&db, volume, password_hash).await?;
    messages::fill(&db, volume).await?;
    let database = describe(&db).await?;
    db.close().await?;
    if volume.deals > 0 {
        deals::fill(url, volume.people.min(BUSY), volume.deals).await?;
    }
    Ok(database)
}

/// The version and durability settings of the database at this URL.
pub async fn describe_at(url: &str) -> anyhow::Result<String> {
    let db = Db::connect(url, 1).await?;
    let database = describe(&db).await?;
    db.close().await?;
    Ok(database)
}

/// The database's version and durability settings.
async fn describe(db: &Db) -> anyhow::Result<String> {
    let sql = if db.backend() == DbBackend::Postgres {
        "SELECT 'PostgreSQL ' || current_setting('server_version') || ', synchronous_commit ' \
         || current_setting('synchronous_commit') || ', fsync ' || current_setting('fsync')"
    } else {
        "SELECT 'SQLite ' || sqlite_version() || ', WAL, synchronous FULL'"
    };
    let row = db.conn().query_one_raw(Statement::from_string(db.backend(), sql)).await?;
    Ok(row.context("the database returns no version")?.try_get_by_index(0)?)
}

/// The URLs of the two databases of a run.
pub struct Databases {
    /// The one passed on the command line, or a file.
    pub first: String,
    /// The second one.
    pub second: String,
    /// The names of those that were created on a server and have to be dropped.
    created: Vec<String>,
}

impl Databases {
    /// Two files in a folder; or, if the URL of a PostgreSQL database is passed, that one and a new one whose name has
    /// `_` and the suffix appended.
    pub async fn choose(url: Option<&str>, folder: &Path, suffix: &str) -> anyhow::Result<Self> {
        let first = Self::first(url, folder)?;
        if url.is_none() {
            return Ok(Self { first, second: file(folder, &format!("{suffix}.db")), created: Vec::new() });
        }
        let mut databases = Self { first, second: String::new(), created: Vec::new() };
        databases.second = databases.create(suffix).await?;
        Ok(databases)
    }

    /// The URL of the database passed on the command line, or of a file.
    pub fn first(url: Option<&str>, folder: &Path) -> anyhow::Result<String> {
        let Some(url) = url else { return Ok(file(folder, "guildhall.db")) };
        ensure!(url.starts_with("postgres"), "the URL must begin with postgres://; SQLite needs none");
        Ok(url.to_owned())
    }

    /// Another empty database on the PostgreSQL server; `None` on SQLite.
    pub async fn another(&mut self, suffix: &str) -> anyhow::Result<Option<String>> {
        if self.first.starts_with("postgres") { self.create(suffix).await.map(Some) } else { Ok(None) }
    }

    /// Creates a database whose name is that of the first one, `_` and the suffix.
    async fn create(&mut self, suffix: &str) -> anyhow::Result<String> {
        let (base, query) = self.first.split_once('?').unwrap_or((&self.first, ""));
        let (server, name) = base.rsplit_once('/').context("the URL has no database name")?;
        let name = format!("{name}_{suffix}");
        let url = format!("{server}/{name}?{query}");
        run(&self.first, &format!("CREATE DATABASE {}", quoted(&name)))
            .await
            .with_context(|| format!("cannot create the database {name}; if an earlier run has left it, drop it"))?;
        self.created.push(name);
        Ok(url)
    }

    /// Drops the databases that were created on a server.
    pub async fn drop_created(&self) -> anyhow::Result<()> {
        for name in &self.created {
            run(&self.first, &format!("DROP DATABASE {} WITH (FORCE)", quoted(name))).await?;
        }
        Ok(())
    }
}

fn file(folder: &Path, name: &str) -> String {
    format!("sqlite://{}?mode=rwc", folder.join(name).display())
}

async fn run(url: &str, sql: &str) -> anyhow::Result<()> {
    let db = Db::connect(url, 1).await?;
    db.conn().execute_unprepared(sql).await?;
    Ok(db.close().await?)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::TestDb;

    use super::*;

    async fn numbers(db: &Db, sql: &str) -> Vec<i64> {
        let rows = db.conn().query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    fn to_i64(ids: impl IntoIterator<Item = u32>) -> Vec<i64> {
        ids.into_iter().map(i64::from).collect()
    }

    #[tokio::test]
    async fn the_assumptions_of_the_load_hold() {
        let db = TestDb::with_connections(guildhall_migration::all, 1).await;
        let volume = Volume { people: 150, groups: 70, posts: 2_000, deals: 0, messages: 0 };
        fill(&db, volume, "a hash").await.unwrap();

        let memberships = numbers(&db, "SELECT group_id FROM community_membership WHERE user_id = 100").await;
        let mut groups = to_i64(volume.groups_of(99));
        assert!(groups.iter().all(|group| memberships.contains(group)), "{groups:?} {memberships:?}");
        groups.sort_unstable();
        groups.dedup();
        assert_eq!(groups.len(), 50);
        let posts = numbers(&db, "SELECT id FROM community_post WHERE group_id = 7 ORDER BY id").await;
        assert_eq!(to_i64(volume.posts_of(7)), posts);
        let open = numbers(&db, "SELECT id FROM community_post WHERE group_id IS NULL ORDER BY id").await;
        assert_eq!(to_i64(volume.open_posts()), open);
    }

    #[tokio::test]
    async fn a_filled_database_is_consistent() {
        let db = TestDb::with_connections(guildhall_migration::all, 1).await;
        fill(&db, Volume { people: 150, groups: 70, posts: 2_000, deals: 0, messages: 0 }, "a hash").await.unwrap();

        let miscounted = "SELECT id FROM community_group \
            WHERE member_count <> (SELECT COUNT(*) FROM community_membership m WHERE m.group_id = community_group.id) \
            OR post_count <> (SELECT COUNT(*) FROM community_post c WHERE c.group_id = community_group.id)";
        let foreign_authors = "SELECT c.id FROM community_post c WHERE c.group_id IS NOT NULL AND NOT EXISTS \
            (SELECT 1 FROM community_membership m WHERE m.group_id = c.group_id AND m.user_id = c.author_id)";
        let unsorted = "SELECT a.id FROM community_post a JOIN community_post b ON b.id = a.id + 1 \
            WHERE b.created_at <= a.created_at";
        for query in [miscounted, foreign_authors, unsorted] {
            assert!(numbers(&db, query).await.is_empty(), "{query}");
        }
        let reactions = "SELECT COUNT(*) FROM community_reaction";
        let liked = "SELECT 2 * COUNT(*) FROM community_post WHERE reactions = '{\"like\":2}'";
        assert_eq!(numbers(&db, reactions).await, numbers(&db, liked).await);
        for (word, count) in [(COMMON, 1_000), (UNCOMMON, 20), (RARE, 1)] {
            let posts =
                format!("SELECT COUNT(*) FROM community_post WHERE ' ' || search_text || ' ' LIKE '% {word} %'");
            assert_eq!(numbers(&db, &posts).await, [count], "{word}");
        }
    }

    #[test]
    fn words_can_be_selected_by_position() {
        assert_eq!(WORDS.split(' ').count(), 32);
        assert!(WORDS.split(' ').all(|word| word.len() == 7));
    }
}
