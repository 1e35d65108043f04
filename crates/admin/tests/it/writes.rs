//! Changes, and what the audit log says about them.

use guildhall_admin::{Error, Panel, Writes};

use crate::harness::{Library, key, library, staff};

async fn change(library: &Library, table: &str, values: &[(&str, Option<&str>)]) -> guildhall_admin::Result<()> {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
    library.panel.change(&staff(), table, &key("1"), values.collect(), None).await
}

#[tokio::test]
async fn a_change_is_stored_and_recorded() {
    let library = library().await;
    let values = [("name", Some("Poems")), ("size", Some("1")), ("owner_id", None), ("is_open", Some("false"))];
    change(&library, "shelf", &values).await.unwrap();
    let stored = "SELECT COUNT(*) FROM shelf WHERE id = 1 AND name = 'Poems' AND owner_id IS NULL AND NOT is_open";
    assert_eq!(library.db.query_i64(stored).await, 1);
    let history = library.panel.history(&staff(), "shelf", &key("1")).await.unwrap();
    assert_eq!((history.len(), history[0].action.as_str(), history[0].actor.as_str()), (1, "admin.change", "#1"));
    let mut changes = history[0].changes.clone();
    changes.sort();
    let changed = |column: &str, before: &str, after: &str| (column.to_owned(), before.to_owned(), after.to_owned());
    assert_eq!(
        changes,
        [changed("is_open", "true", "false"), changed("name", "Poetry 100%", "Poems"), changed("owner_id", "1", "")]
    );
}

#[tokio::test]
async fn nothing_is_recorded_if_nothing_changes() {
    let library = library().await;
    change(&library, "shelf", &[("name", Some("Poetry 100%"))]).await.unwrap();
    assert_eq!(library.db.count_rows("kernel_audit_event").await, 0);
}

#[tokio::test]
async fn the_error_of_a_constraint_is_at_its_column() {
    let library = library().await;
    for (column, value) in [("size", "0"), ("owner_id", "77"), ("size", "x")] {
        let refused = change(&library, "shelf", &[(column, Some(value))]).await;
        let Err(Error::Kernel(error)) = refused else { panic!("{refused:?}") };
        assert!(error.fields().contains_key(column), "{column} {value}: {error:?}");
    }
    assert_eq!(library.db.count_rows("kernel_audit_event").await, 0);
}

#[tokio::test]
async fn only_editable_columns_are_changed() {
    let library = library().await;
    assert!(matches!(change(&library, "shelf", &[("made_at", Some("1"))]).await, Err(Error::ReadOnly)));
    assert!(matches!(change(&library, "shelf", &[("secret", Some("1"))]).await, Err(Error::NotFound)));
    assert!(matches!(change(&library, "note", &[("text", Some("1"))]).await, Err(Error::ReadOnly)));
    assert!(matches!(change(&library, "nothing", &[("text", Some("1"))]).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_table_with_a_rule_is_changed_through_its_service() {
    let library = library().await;
    change(&library, "loan", &[("shelf_id", Some("2"))]).await.unwrap();
    assert_eq!(*library.rule.calls.lock().await, ["1 {\"shelf_id\":2}"]);
    // The service decides what is stored; the panel only records it.
    assert_eq!(library.db.query_i64("SELECT shelf_id FROM loan WHERE id = 1").await, 3);
    assert_eq!(library.db.count_rows("kernel_audit_event").await, 1);
    let _ = &library.clock;
}

#[tokio::test]
async fn a_change_of_a_row_that_has_changed_is_refused() {
    let library = library().await;
    let version = library.panel.row(&staff(), "shelf", &key("1")).await.unwrap().version;
    let values = || vec![("name".to_owned(), Some("Poems".to_owned()))];
    // A column that the panel does not change is none of the form's.
    library.db.sql("UPDATE shelf SET made_at = 5 WHERE id = 1").await.unwrap();
    library.panel.change(&staff(), "shelf", &key("1"), values(), Some(&version)).await.unwrap();
    let refused = library.panel.change(&staff(), "shelf", &key("1"), values(), Some(&version)).await;
    assert!(matches!(refused, Err(Error::Stale)), "{refused:?}");
    assert_eq!(library.db.count_rows("kernel_audit_event").await, 1);
}

#[tokio::test]
async fn a_row_is_created_through_the_service_of_its_table() {
    let library = library().await;
    let form = library.panel.new_row(&staff(), "loan").await.unwrap();
    let fields = form.fields.iter().map(|field| (&*field.column.name, field.is_required, field.cell.text.as_deref()));
    assert_eq!(fields.collect::<Vec<_>>(), [("shelf_id", true, None), ("is_extended", false, Some("true"))]);
    assert_eq!(form.fields[0].target.as_deref(), Some("shelf"));
    let create = async |table: &str, values: &[(&str, &str)]| {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        library.panel.create(&staff(), table, values).await
    };
    assert_eq!(create("loan", &[("shelf_id", "3"), ("is_extended", " ")]).await.unwrap(), key("7"));
    assert_eq!(*library.rule.calls.lock().await, ["new {\"shelf_id\":3}"]);
    for (values, column) in [(vec![("is_extended", "false")], "shelf_id"), (vec![("shelf_id", "x")], "shelf_id")] {
        let Err(Error::Kernel(error)) = create("loan", &values).await else { panic!("{values:?}") };
        assert!(error.fields().contains_key(column), "{values:?}: {error:?}");
    }
    assert!(matches!(create("loan", &[("shelf_id", "3"), ("secret", "x")]).await, Err(Error::ReadOnly)));
    // The panel itself creates nothing: a table without a service has no form.
    assert!(matches!(create("shelf", &[("name", "x")]).await, Err(Error::ReadOnly)));
    assert!(matches!(library.panel.new_row(&staff(), "shelf").await, Err(Error::ReadOnly)));
    assert_eq!((library.rule.calls.lock().await.len(), library.db.count_rows("kernel_audit_event").await), (1, 1));
    let history = library.panel.history(&staff(), "loan", &key("7")).await.unwrap();
    assert_eq!(history[0].action, "admin.create");
}
