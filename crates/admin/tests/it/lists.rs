//! Lists: positions, search, filters, references, exports; and who may see them.

use futures_util::StreamExt;
use guildhall_admin::{Confirmation, Error, Key, ListQuery, Operations, Panel, Writes};
use guildhall_kernel::{Caller, CursorQuery, Roles, UserId, audit::Filter};

use crate::harness::{Library, key, library, staff};

fn search(term: &str) -> ListQuery {
    ListQuery { search: term.to_owned(), ..ListQuery::default() }
}

fn filter(column: &str, value: &str) -> ListQuery {
    ListQuery { filters: vec![(column.to_owned(), value.to_owned())], ..ListQuery::default() }
}

#[tokio::test]
async fn pages_of_a_table_with_a_composite_key_have_each_row_once() {
    let library = library().await;
    let books: Vec<String> = (1..=120).map(|place| format!("(3, {place}, '{}')", ["a", "b", "c"][place % 3])).collect();
    let insert = format!("INSERT INTO book (shelf_id, place, title) VALUES {}", books.join(", "));
    library.db.sql(&insert).await.unwrap();
    for order in [None, Some("title".to_owned()), Some("-title".to_owned())] {
        let (mut seen, mut after, mut pages) = (Vec::new(), None::<Key>, Vec::new());
        loop {
            let query = ListQuery { order: order.clone(), after: after.clone(), ..ListQuery::default() };
            let rows = library.rows("book", query).await;
            let keys: Vec<String> = rows.rows.iter().map(|row| row.key.to_string()).collect();
            seen.extend(keys.clone());
            pages.push((keys, rows.previous));
            let Some(next) = rows.next else { break };
            after = Some(next);
        }
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((seen.len(), distinct.len(), pages.len()), (126, 126, 3), "{order:?}");
        // And back again.
        let before = pages[2].1.clone();
        let back = ListQuery { order: order.clone(), before, ..ListQuery::default() };
        assert_eq!(library.keys("book", back).await, pages[1].0, "{order:?}");
    }
}

#[tokio::test]
async fn a_list_is_ordered_by_columns_with_an_index_only() {
    let library = library().await;
    let ordered = |order: &str| ListQuery { order: Some(order.to_owned()), ..ListQuery::default() };
    let rows = library.rows("book", ordered("-title")).await;
    assert_eq!(rows.sortable, ["shelf_id", "title"]);
    assert_eq!(rows.rows[0].key, key("2,1"));
    let rows = library.rows("shelf", ordered("name")).await;
    assert_eq!(rows.sortable, ["id"]);
    assert_eq!(rows.rows[0].key, key("1"));
    assert_eq!(library.keys("shelf", ListQuery::default()).await, ["3", "2", "1"]);
}

#[tokio::test]
async fn rows_are_searched_by_text_and_by_id() {
    let library = library().await;
    assert_eq!(library.keys("shelf", search("PO")).await, ["1"]);
    assert_eq!(library.keys("shelf", search("100%")).await, ["1"]);
    assert_eq!(library.keys("shelf", search("%")).await, ["1"]);
    assert_eq!(library.keys("shelf", search("_")).await, Vec::<String>::new());
    assert_eq!(library.keys("shelf", search("3")).await, ["3"]);
    assert_eq!(library.keys("note", search("'; DROP TABLE note; --")).await, Vec::<String>::new());
    let found = library.panel.find(&staff(), "po").await.unwrap();
    assert_eq!(found.rows.len(), 1);
    assert_eq!(library.panel.find(&staff(), "shelf").await.unwrap().tables[0].name, "shelf");
}

#[tokio::test]
async fn rows_are_filtered_by_the_kind_of_a_column() {
    let library = library().await;
    assert_eq!(library.keys("shelf", filter("is_open", "no")).await, ["2"]);
    assert_eq!(library.keys("shelf", filter("made_at", "30d")).await, ["3", "1"]);
    assert_eq!(library.keys("shelf", filter("owner_id", "1")).await, ["1"]);
    assert_eq!(library.keys("shelf", filter("owner_id", "-")).await, ["2"]);
    assert_eq!(library.keys("shelf", filter("owner_id", "anna")).await, Vec::<String>::new());
    assert_eq!(library.keys("shelf", filter("name", "Prose")).await, ["2"]);
    // A column that is not described does not exist.
    assert_eq!(library.keys("shelf", filter("secret", "y")).await.len(), 3);
    let rows = library.rows("shelf", filter("owner_id", "1")).await;
    let owner = rows.filters.iter().find(|filter| filter.column.name == "owner_id").unwrap();
    assert_eq!((owner.label.as_deref(), owner.target.as_deref()), (Some("Anna"), Some("people")));
    assert_eq!((rows.count.number, rows.count.more), (1, false));
    let name = rows.filters.iter().find(|filter| filter.column.name == "name").unwrap();
    assert_eq!(name.choices, ["Maps", "Poetry 100%", "Prose"]);
}

#[tokio::test]
async fn a_reference_is_shown_as_the_name_of_the_other_row() {
    let library = library().await;
    let row = library.panel.row(&staff(), "shelf", &key("1")).await.unwrap();
    let owner = row.fields.iter().find(|field| field.column.name == "owner_id").unwrap();
    let reference = owner.cell.reference.clone().unwrap();
    assert_eq!((reference.label.as_str(), reference.table.as_str(), reference.key), ("Anna", "people", key("1")));
    assert_eq!(row.title, "Poetry 100%");
    let relations: Vec<_> = row.relations.iter().map(|it| (it.table.name.as_str(), it.count.number)).collect();
    assert_eq!(relations, [("book", 3), ("loan", 0)], "a loan can be created");
    assert!(row.fields.iter().all(|field| field.column.name != "secret"));
    let options = library.panel.options(&staff(), "people", "2").await.unwrap();
    assert_eq!(options[0].label, "Ben");
    for missing in ["99", "x", "1,2", "", "+1", "01", " 1"] {
        let refused = library.panel.row(&staff(), "shelf", &key(missing)).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{missing}");
    }
}

#[tokio::test]
async fn an_export_has_the_rows_of_the_list() {
    let library = library().await;
    let lines = library.panel.export(&staff(), "shelf", filter("is_open", "yes")).await.unwrap();
    let text: String = lines.map(Result::unwrap).collect::<Vec<_>>().await.concat();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    let logged = "SELECT COUNT(*) FROM kernel_audit_event WHERE action = 'admin.export' AND object = 'admin/shelf'";
    assert_eq!(library.db.query_i64(logged).await, 1);
    assert!(lines[0].starts_with("\"id\",\"name\"") && lines[1].starts_with("\"3\",\"Maps\""), "{text}");
}

async fn export(library: &Library, table: &str) -> String {
    let lines = library.panel.export(&staff(), table, ListQuery::default()).await.unwrap();
    lines.map(Result::unwrap).collect::<Vec<_>>().await.concat()
}

#[tokio::test]
async fn an_export_has_the_key_and_whole_texts() {
    let library = library().await;
    let long = "x".repeat(500);
    library.db.sql(&format!("INSERT INTO people (id, name) VALUES (3, '{long}')")).await.unwrap();
    let text = export(&library, "people").await;
    assert!(text.starts_with("\"id\",\"name\"\r\n") && text.contains(&format!("\"3\",\"{long}\"")), "{text}");
}

#[tokio::test]
async fn an_export_says_that_it_is_cut() {
    let library = library().await;
    let sql = "INSERT INTO book (shelf_id, place, title) WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 \
        FROM n WHERE i < 100003) SELECT 1, i, 'x' FROM n";
    library.db.sql(sql).await.unwrap();
    // Exactly as many as an export has, then one more.
    assert_eq!(export(&library, "book").await.lines().count(), 100_001);
    library.db.sql("INSERT INTO book (shelf_id, place, title) VALUES (1, 200000, 'x')").await.unwrap();
    let text = export(&library, "book").await;
    assert_eq!(text.lines().count(), 100_002);
    assert!(text.lines().last().unwrap().contains("first 100000 rows only"));
}

#[tokio::test]
async fn rows_that_staff_may_not_see_do_not_exist_in_the_panel() {
    let library = library().await;
    library.db.sql("INSERT INTO book (shelf_id, place, title) VALUES (1, 9, 'hidden')").await.unwrap();
    let panel = &library.panel;
    let rows = library.rows("book", ListQuery::default()).await;
    assert_eq!((rows.rows.len(), rows.count.number), (6, 6));
    assert_eq!(library.keys("book", search("hidden")).await, Vec::<String>::new());
    assert!(panel.find(&staff(), "hidden").await.unwrap().rows.is_empty());
    assert!(panel.options(&staff(), "book", "hidden").await.unwrap().is_empty());
    assert!(!export(&library, "book").await.contains("hidden"));
    assert!(matches!(panel.row(&staff(), "book", &key("1,9")).await, Err(Error::NotFound)));
    assert!(matches!(panel.preview_deletion(&staff(), "book", &[key("1,9")]).await, Err(Error::NotFound)));
    let title = rows.filters.iter().find(|filter| filter.column.name == "title").unwrap();
    assert_eq!(title.choices, ["a", "b", "c"]);
    let shelf = panel.row(&staff(), "shelf", &key("1")).await.unwrap();
    assert_eq!(shelf.relations[0].count.number, 3);
    // A deletion says how many rows really go.
    let graph = panel.preview_deletion(&staff(), "shelf", &[key("1")]).await.unwrap();
    assert_eq!(graph.tables[0].count.number, 4);
}

#[tokio::test]
async fn a_search_finds_letters_that_are_not_ascii() {
    let library = library().await;
    library.db.sql("INSERT INTO people (id, name) VALUES (3, 'Ärger'), (4, 'plain')").await.unwrap();
    assert_eq!(library.keys("people", search("Är")).await, ["3"]);
}

#[tokio::test]
async fn tables_have_their_numbers_of_rows() {
    let library = library().await;
    let areas = library.panel.tables(&staff()).await.unwrap();
    let books = areas[0].tables.iter().find(|entry| entry.table.name == "book").unwrap();
    assert_eq!(books.count.number, 6);
}

#[tokio::test]
async fn the_panel_is_for_staff() {
    let library = library().await;
    let teacher = Caller::new(UserId(1), Roles { teacher: true, ..Roles::default() });
    let panel = &library.panel;
    let is_refused = |error: Option<Error>| assert!(matches!(error, Some(Error::NotStaff)));
    is_refused(panel.tables(&teacher).await.err());
    is_refused(panel.find(&teacher, "po").await.err());
    is_refused(panel.rows(&teacher, "shelf", ListQuery::default()).await.err());
    is_refused(panel.export(&teacher, "shelf", ListQuery::default()).await.err());
    is_refused(panel.row(&teacher, "shelf", &key("1")).await.err());
    is_refused(panel.options(&teacher, "shelf", "").await.err());
    is_refused(panel.history(&teacher, "shelf", &key("1")).await.err());
    is_refused(panel.change(&teacher, "shelf", &key("1"), Vec::new(), None).await.err());
    is_refused(panel.preview_deletion(&teacher, "shelf", &[key("1")]).await.err());
    is_refused(panel.delete(&teacher, "shelf", &[key("1")], Confirmation::default()).await.err());
    is_refused(panel.activity(&teacher).await.err());
    is_refused(panel.jobs(&teacher).await.err());
    is_refused(panel.run_job(&teacher, "x").await.err());
    is_refused(panel.unsent(&teacher).await.err());
    is_refused(panel.send_now(&teacher, 1).await.err());
    is_refused(panel.latest(&teacher).await.err());
    is_refused(panel.messages(&teacher, None, CursorQuery::newest(1)).await.err());
    is_refused(panel.audit_log(&teacher, &Filter::default(), CursorQuery::newest(1)).await.err());
    let superuser = Caller::new(UserId(1), Roles { superuser: true, ..Roles::default() });
    assert!(panel.tables(&superuser).await.is_ok());
}
