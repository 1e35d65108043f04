//! What a deletion does, compared with what it has done.

use guildhall_admin::{Confirmation, Deletion, Error, Graph, Outlook, Writes};
use guildhall_kernel::{Kind, Result};

use crate::harness::{Library, key, library, staff};

async fn preview(library: &Library, table: &str, keys: &[&str]) -> Graph {
    let keys: Vec<_> = keys.iter().map(|text| key(text)).collect();
    library.panel.preview_deletion(&staff(), table, &keys).await.unwrap()
}

async fn delete(library: &Library, table: &str, keys: &[&str], token: String) -> guildhall_admin::Result<Deletion> {
    let keys: Vec<_> = keys.iter().map(|text| key(text)).collect();
    library.panel.delete(&staff(), table, &keys, Confirmation { token, typed: String::new() }).await
}

fn counts(graph: &Graph, outlook: Outlook) -> Vec<(&str, u64)> {
    graph.with(outlook).map(|entry| (entry.table.name.as_str(), entry.count.number)).collect()
}

#[tokio::test]
async fn a_preview_has_the_numbers_of_the_deletion() {
    let library = library().await;
    let graph = preview(&library, "shelf", &["1", "2"]).await;
    assert_eq!(counts(&graph, Outlook::Goes), [("book", 6), ("note", 3)]);
    assert_eq!((graph.total.number, graph.confirmation.clone()), (11, None));
    let before = library.counts().await;
    let outcome = delete(&library, "shelf", &["1", "2"], graph.token()).await.unwrap();
    assert!(matches!(outcome, Deletion::Done));
    let after = library.counts().await;
    let gone: i64 = before.iter().zip(&after).map(|((_, before), (_, after))| before - after).sum();
    assert_eq!(u64::try_from(gone).unwrap(), graph.total.number);
}

#[tokio::test]
async fn only_the_rows_of_a_composite_key_go() {
    let library = library().await;
    // Of (1, 1) and (2, 2), no part is that of (1, 3), but each is that of another row.
    let graph = preview(&library, "book", &["1,1", "2,2"]).await;
    assert_eq!(counts(&graph, Outlook::Goes), [("note", 2)]);
    let graph = preview(&library, "book", &["1,2", "2,1"]).await;
    assert_eq!(counts(&graph, Outlook::Goes), []);
}

#[tokio::test]
async fn references_that_are_cleared_stay() {
    let library = library().await;
    let graph = preview(&library, "people", &["2"]).await;
    assert_eq!(counts(&graph, Outlook::Stays), [("shelf", 1)]);
    assert_eq!((graph.total.number, graph.tables[0].column.as_deref()), (1, Some("owner_id")));
    delete(&library, "people", &["2"], graph.token()).await.unwrap();
    assert_eq!(library.db.query_i64("SELECT COUNT(*) FROM shelf WHERE owner_id IS NULL").await, 2);
}

#[tokio::test]
async fn rows_that_block_prevent_the_deletion() {
    let library = library().await;
    let graph = preview(&library, "shelf", &["3"]).await;
    assert_eq!(counts(&graph, Outlook::Blocks), [("loan", 1)]);
    assert!(graph.is_blocked());
    let refused: Result<Deletion> = delete(&library, "shelf", &["3"], graph.token()).await.map_err(Into::into);
    assert_eq!(refused.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(library.db.count_rows("shelf").await, 3);
}

#[tokio::test]
async fn nothing_is_deleted_if_the_numbers_have_changed() {
    let library = library().await;
    let graph = preview(&library, "shelf", &["1"]).await;
    library.db.sql("INSERT INTO note (shelf_id, place, text) VALUES (1, 2, 'new')").await.unwrap();
    let outcome = delete(&library, "shelf", &["1"], graph.token()).await.unwrap();
    let Deletion::Changed(graph) = outcome else { panic!("{outcome:?}") };
    assert_eq!(counts(&graph, Outlook::Goes), [("book", 3), ("note", 3)]);
    assert_eq!(library.db.count_rows("shelf").await, 3);
}

#[tokio::test]
async fn a_large_deletion_has_to_be_confirmed_in_writing() {
    let library = library().await;
    for place in 10..120 {
        let insert = format!("INSERT INTO book (shelf_id, place, title) VALUES (1, {place}, 'x')");
        library.db.sql(&insert).await.unwrap();
    }
    let graph = preview(&library, "shelf", &["1"]).await;
    assert_eq!(graph.confirmation.as_deref(), Some("Poetry 100%"));
    let refused = delete(&library, "shelf", &["1"], graph.token()).await;
    let Err(Error::Kernel(error)) = refused else { panic!("{refused:?}") };
    assert!(error.fields().contains_key("confirmation"));
    let confirmation = Confirmation { token: graph.token(), typed: " Poetry 100% ".to_owned() };
    let outcome = library.panel.delete(&staff(), "shelf", &[key("1")], confirmation).await.unwrap();
    assert!(matches!(outcome, Deletion::Done));
}

#[tokio::test]
async fn what_has_to_be_typed_has_single_spaces() {
    let library = library().await;
    library.db.sql("UPDATE shelf SET name = ' Old   maps ' WHERE id = 1").await.unwrap();
    let books = "INSERT INTO book (shelf_id, place, title) WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 \
        FROM n WHERE i < 20000) SELECT 1, i, 'x' FROM n";
    library.db.sql(books).await.unwrap();
    let graph = preview(&library, "shelf", &["1"]).await;
    let books = graph.with(Outlook::Goes).next().unwrap().count;
    assert_eq!((books.number, books.more), (10_000, true));
    let confirmation = Confirmation { token: graph.token(), typed: "Old maps".to_owned() };
    let outcome = library.panel.delete(&staff(), "shelf", &[key("1")], confirmation).await.unwrap();
    assert!(matches!(outcome, Deletion::Done));
}

#[tokio::test]
async fn a_rule_decides_about_its_table_and_its_refusal_is_told() {
    let library = library().await;
    let graph = preview(&library, "loan", &["1"]).await;
    let refused: Result<Deletion> = delete(&library, "loan", &["1"], graph.token()).await.map_err(Into::into);
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Conflict, "loan_kept"));
    assert_eq!(library.db.count_rows("loan").await, 1);
    let logged = library.db.count_rows("kernel_audit_event").await;
    assert_eq!(logged, 0);
}

#[tokio::test]
async fn missing_rows_cannot_be_deleted() {
    let library = library().await;
    for keys in [vec![], vec![key("99")], vec![key("x")]] {
        let refused = library.panel.preview_deletion(&staff(), "shelf", &keys).await;
        assert!(matches!(refused, Err(Error::NotFound)));
    }
    let refused = library.panel.preview_deletion(&staff(), "kernel_job", &[key("x")]).await;
    assert!(matches!(refused, Err(Error::ReadOnly)));
}
