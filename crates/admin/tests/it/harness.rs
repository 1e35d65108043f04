//! Shelves with books, and notes about them: a composite key, and every action of a foreign key.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_admin::{Key, ListQuery, NewColumn, Panel, Registry, Rows, SqlPanel, StoredRow, TableWrites};
use guildhall_kernel::{
    Caller, Error, Kind as ErrorKind, Result, Roles, UserId,
    admin::{Column, Kind, Model},
    db::SqlMigration,
    testing::{PEOPLE, TestClock, TestDb},
};
use sea_orm_migration::MigrationTrait;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

const UP: &str = "
CREATE TABLE people (id {id}, name text NOT NULL);
CREATE TABLE shelf (
    id {id},
    name text NOT NULL,
    secret text,
    is_open boolean NOT NULL DEFAULT TRUE,
    made_at bigint NOT NULL,
    owner_id bigint CONSTRAINT shelf_owner_id_fkey REFERENCES people (id) ON DELETE SET NULL,
    size bigint NOT NULL DEFAULT 1 CONSTRAINT shelf_size_check CHECK (size > 0)
);
CREATE TABLE book (
    shelf_id bigint NOT NULL CONSTRAINT book_shelf_id_fkey REFERENCES shelf (id) ON DELETE CASCADE,
    place bigint NOT NULL,
    title text NOT NULL,
    CONSTRAINT book_pkey PRIMARY KEY (shelf_id, place)
);
CREATE INDEX book_title ON book (title);
CREATE TABLE note (
    id {id},
    shelf_id bigint NOT NULL,
    place bigint NOT NULL,
    text text NOT NULL,
    CONSTRAINT note_book_fkey FOREIGN KEY (shelf_id, place) REFERENCES book (shelf_id, place) ON DELETE CASCADE
);
CREATE TABLE loan (
    id {id},
    shelf_id bigint NOT NULL CONSTRAINT loan_shelf_id_fkey REFERENCES shelf (id) ON DELETE RESTRICT,
    is_extended boolean NOT NULL DEFAULT TRUE
);";
const DOWN: &str = "DROP TABLE loan; DROP TABLE note; DROP TABLE book; DROP TABLE shelf; DROP TABLE people;";

fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(SqlMigration::new("m20240101_000000_shelves", UP, DOWN))];
    all.extend(guildhall_kernel::migrations(&PEOPLE));
    all
}

fn model(table: &str, label: &'static str, columns: &[(&str, Kind)], keys: &[&str]) -> Model {
    let column = |(name, kind): &(&str, Kind)| Column {
        name: (*name).to_owned(),
        kind: *kind,
        nullable: matches!(*name, "owner_id"),
        key: keys.contains(name),
    };
    Model {
        table: table.to_owned(),
        label,
        columns: columns.iter().map(column).collect(),
        list: &[],
        search: &[],
        filters: &[],
        is_log: false,
        visible: (table == "book").then_some("title <> 'hidden'"),
        removed_with_user: None,
        editable: &[],
        deletable: true,
        guarded: false,
    }
}

fn registry() -> Registry {
    let shelf = [
        ("id", Kind::Number),
        ("name", Kind::Text),
        ("is_open", Kind::Flag),
        ("made_at", Kind::Moment),
        ("owner_id", Kind::Reference),
        ("size", Kind::Number),
    ];
    let book = [("shelf_id", Kind::Reference), ("place", Kind::Number), ("title", Kind::Text)];
    let note = [("id", Kind::Number), ("shelf_id", Kind::Reference), ("place", Kind::Number), ("text", Kind::Text)];
    let loan = [("id", Kind::Number), ("shelf_id", Kind::Reference), ("is_extended", Kind::Flag)];
    let models = vec![
        model("people", "person", &[("id", Kind::Number), ("name", Kind::Text)], &["id"]).search(&["name"]),
        model("shelf", "shelf", &shelf, &["id"])
            .search(&["name"])
            .filters(&["is_open", "made_at", "owner_id", "name"])
            .editable(&["name", "size", "owner_id", "is_open"]),
        model("book", "book", &book, &["shelf_id", "place"]).search(&["title"]).filters(&["title"]),
        model("note", "note", &note, &["id"]),
        model("loan", "loan", &loan, &["id"]),
    ];
    Registry::default().with("library", models).with("kernel", guildhall_kernel::admin::admin())
}

/// What a service was asked to do.
#[derive(Default)]
pub(crate) struct Rule {
    pub(crate) calls: Mutex<Vec<String>>,
}

/// A rule of loans: they are never deleted, and people may not know why.
pub(crate) struct LoanRule(pub(crate) Arc<Rule>);

#[async_trait]
impl TableWrites for LoanRule {
    fn table(&self) -> &'static str {
        "loan"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::required("shelf_id"), NewColumn::checked("is_extended")] }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["shelf_id"]
    }

    async fn create(&self, _: &Caller, values: Map<String, Value>) -> Result<Key> {
        self.0.calls.lock().await.push(format!("new {}", Value::Object(values)));
        Ok(Key::of_id(7))
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn update(&self, _: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        self.0.calls.lock().await.push(format!("{} {}", row.id("id")?, Value::Object(changes)));
        Ok(())
    }

    async fn delete(&self, _: &Caller, _: &StoredRow) -> Result<()> {
        Err(Error::new(ErrorKind::Forbidden, "loan_kept", "Loans are kept."))
    }
}

pub(crate) struct Library {
    pub(crate) db: TestDb,
    pub(crate) clock: TestClock,
    pub(crate) panel: SqlPanel,
    pub(crate) rule: Arc<Rule>,
}

pub(crate) fn staff() -> Caller {
    Caller::new(UserId(1), Roles { staff: true, ..Roles::default() })
}

/// Shelf 1 of Anna with three books and two notes, shelf 2 with three books, and shelf 3, which is on loan.
pub(crate) async fn library() -> Library {
    let (db, clock, rule) = (TestDb::new(migrations).await, TestClock::default(), Arc::new(Rule::default()));
    let panel = SqlPanel::new(db.handle(), clock.clock(), registry(), vec![Arc::new(LoanRule(rule.clone()))]);
    let now = clock.clock().now().unix_micros();
    let long_ago = now - 40 * 24 * 3600 * 1_000_000;
    db.sql("INSERT INTO people (id, name) VALUES (1, 'Anna'), (2, 'Ben')").await.unwrap();
    let shelves = format!(
        "INSERT INTO shelf (id, name, secret, is_open, made_at, owner_id) VALUES
         (1, 'Poetry 100%', 'x', TRUE, {now}, 1), (2, 'Prose', 'x', FALSE, {long_ago}, NULL), (3, 'Maps', 'x', TRUE, {now}, 2)"
    );
    db.sql(&shelves).await.unwrap();
    db.sql(
        "INSERT INTO book (shelf_id, place, title) VALUES (1, 1, 'b'), (1, 2, 'a'), (1, 3, 'a'), (2, 1, 'c'), (2, 2, 'b'), (2, 3, 'a')",
    )
    .await
    .unwrap();
    db.sql("INSERT INTO note (shelf_id, place, text) VALUES (1, 1, 'x'), (1, 3, 'y'), (2, 2, 'z')").await.unwrap();
    db.sql("INSERT INTO loan (id, shelf_id) VALUES (1, 3)").await.unwrap();
    Library { db, clock, panel, rule }
}

impl Library {
    pub(crate) async fn rows(&self, table: &str, query: ListQuery) -> Rows {
        self.panel.rows(&staff(), table, query).await.unwrap()
    }

    pub(crate) async fn keys(&self, table: &str, query: ListQuery) -> Vec<String> {
        self.rows(table, query).await.rows.into_iter().map(|row| row.key.to_string()).collect()
    }

    /// The numbers of rows of the library's tables.
    pub(crate) async fn counts(&self) -> Vec<(String, i64)> {
        let mut counts = Vec::new();
        for table in ["book", "loan", "note", "people", "shelf"] {
            counts.push((table.to_owned(), self.db.count_rows(table).await));
        }
        counts
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text)
}
