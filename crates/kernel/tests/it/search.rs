//! Full-text search on a table with an index like those of the domain crates.

use guildhall_kernel::{
    db::{self, SqlMigration},
    search::{self, Match, ScopeTerm, SearchQuery, TextIndex},
    testing::TestDb,
};
use sea_orm::{DbBackend, QueryOrder, entity::prelude::*};
use sea_orm_migration::MigrationTrait;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "note")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub search_text: String,
}

impl ActiveModelBehavior for ActiveModel {}

const NOTES: TextIndex = TextIndex::new("note", "note_words");

fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    let table = "CREATE TABLE note (id {id}, search_text text NOT NULL);";
    let fts5 = "CREATE VIRTUAL TABLE note_words USING fts5(
            search_text, content='note', content_rowid='id', detail='none', prefix='2 3', tokenize='ascii'
        );
        CREATE TRIGGER note_words_insert AFTER INSERT ON note
        BEGIN
            INSERT INTO note_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
        END;";
    let tsvector =
        "ALTER TABLE note ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', search_text)) STORED;
        CREATE INDEX note_words ON note USING gin (words);";
    let notes = SqlMigration::new("m20250101_000000_notes", table, "DROP TABLE note;");
    let notes = notes.only(DbBackend::Sqlite, fts5, "DROP TABLE note_words;");
    vec![Box::new(notes.only(DbBackend::Postgres, tsvector, ""))]
}

/// Notes with these texts, with the ids 1, 2 and so on.
async fn notes(texts: impl IntoIterator<Item = String>) -> TestDb {
    let db = TestDb::new(migrations).await;
    for text in texts {
        let values = || [text.as_str().into()];
        let insert = |tx| async move { db::execute(&tx, "INSERT INTO note (search_text) VALUES ($1)", values()).await };
        db.write(insert).await.unwrap();
    }
    db
}

async fn newest(db: &TestDb, query: &SearchQuery, matching: Match) -> Vec<i64> {
    let rows = NOTES.newest(db.backend(), Entity::find(), query, matching);
    rows.all(db.conn()).await.unwrap().into_iter().map(|note| note.id).collect()
}

async fn matching(db: &TestDb, query: &SearchQuery, matching: Match) -> Vec<i64> {
    let rows = NOTES.matching(db.backend(), Entity::find(), query, matching).order_by_asc(Column::Id);
    rows.all(db.conn()).await.unwrap().into_iter().map(|note| note.id).collect()
}

#[tokio::test]
async fn texts_with_all_terms_are_found_newest_first() {
    let db = notes(["Café Gespräch", "cafeteria", "a cafe, a gespräch", "東京大学 café"].map(search::terms)).await;
    for (text, as_prefix, as_word) in [
        ("CAFE", &[4, 3, 2, 1][..], &[4, 3, 1][..]),
        ("cafe gesprach", &[3, 1], &[3, 1]),
        ("gesprach caf", &[3, 1], &[]),
        ("caf gesprach", &[], &[]),
        ("京大", &[4], &[4]),
        ("学", &[4], &[4]),
        ("nothing", &[], &[]),
        ("cafe' OR 1 = 1 -- \\ \" NEAR(", &[], &[]),
    ] {
        let query = SearchQuery::parse(text).unwrap();
        assert_eq!(newest(&db, &query, Match::Prefix).await, as_prefix, "{text}");
        assert_eq!(newest(&db, &query, Match::Whole).await, as_word, "{text}");
        let oldest: Vec<i64> = as_prefix.iter().rev().copied().collect();
        assert_eq!(matching(&db, &query, Match::Prefix).await, oldest, "{text}");
    }
}

#[tokio::test]
async fn a_long_word_is_found_by_its_beginning() {
    let (long, exact) = ("x".repeat(150), "y".repeat(100));
    let db = notes([format!("{long} rust"), format!("{exact}y"), exact.clone()].map(|text| search::terms(&text))).await;
    for (text, found) in [(&format!("{long} rust"), &[1][..]), (&long, &[1]), (&exact, &[3])] {
        let query = SearchQuery::parse(text).unwrap();
        assert_eq!(newest(&db, &query, Match::Whole).await, found, "{text}");
    }
}

#[tokio::test]
async fn a_search_within_scopes_finds_their_texts_only() {
    let room = |id| ScopeTerm::new('r', id);
    let person = |id| ScopeTerm::new('u', id);
    let scopes = [vec![room(1)], vec![room(2), person(1)], vec![room(11), person(2)], vec![]];
    let db = notes(scopes.map(|scopes| search::scoped_terms(scopes, "Café"))).await;
    let within = |scopes: Vec<ScopeTerm>| SearchQuery::parse("café").unwrap().within(scopes).unwrap();
    for (scopes, found) in [
        (vec![room(1)], &[1][..]),
        (vec![room(1), person(1)], &[2, 1]),
        (vec![person(2), room(2)], &[3, 2]),
        (vec![room(3)], &[]),
    ] {
        assert_eq!(newest(&db, &within(scopes.clone()), Match::Prefix).await, found, "{scopes:?}");
        assert_eq!(newest(&db, &within(scopes.clone()), Match::Whole).await, found, "{scopes:?}");
    }
}
