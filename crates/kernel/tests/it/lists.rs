use axum::{Router, extract::FromRef, routing::get};
use guildhall_kernel::{
    CursorPage, CursorQuery, Db, Json, Ordering, Page, PageQuery, PublicUrl, Result,
    testing::{TestClient, TestDb},
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, Set, Statement,
};
use serde_json::{Value, json};

use crate::things::{ActiveModel, Column, Entity, Thing, migrations};

#[derive(Clone, FromRef)]
struct State {
    db: Db,
    url: PublicUrl,
}

async fn pages(axum::extract::State(db): axum::extract::State<Db>, query: PageQuery) -> Result<Json<Value>> {
    let ordering = Ordering { fields: &[("name", Column::Name), ("id", Column::Id)], default: "-id", id: Column::Id };
    let page = Page::<Thing>::fetch(Entity::find(), &ordering, &query, db.conn()).await?;
    let names: Vec<_> = page.results.iter().map(|thing| thing.name.clone()).collect();
    Ok(Json(json!({"count": page.count, "capped": page.count_capped, "next": page.next,
        "previous": page.previous, "results": names})))
}

async fn cursor_pages(axum::extract::State(db): axum::extract::State<Db>, query: CursorQuery) -> Result<Json<Value>> {
    let page = CursorPage::<Thing>::fetch(Entity::find(), Column::Id, &query, db.conn()).await?;
    let ids: Vec<_> = page.results.iter().map(|thing| thing.id).collect();
    Ok(Json(json!({"next": page.next, "previous": page.previous, "results": ids})))
}

async fn list_of(things: usize) -> (TestDb, TestClient) {
    let db = TestDb::new(migrations).await;
    let rows: Vec<usize> = (1..=things).collect();
    for chunk in rows.chunks(1000) {
        db.write(|tx| async move {
            let thing = |i: &usize| ActiveModel { id: NotSet, name: Set(format!("{i:05}")), parent_id: Set(None) };
            Entity::insert_many(chunk.iter().map(thing)).exec_without_returning(&tx).await?;
            Ok::<_, DbErr>(())
        })
        .await
        .unwrap();
    }
    let state = State { db: db.handle(), url: "https://example.org".parse().unwrap() };
    let router = Router::new().route("/pages/", get(pages)).route("/history/", get(cursor_pages)).with_state(state);
    (db, TestClient::new(router))
}

/// The path of an absolute URL in a response.
fn path(url: &Value) -> Option<String> {
    url.as_str().map(|url| url.strip_prefix("https://example.org").unwrap().to_owned())
}

#[tokio::test]
async fn the_pages_contain_each_row_once() {
    let (_db, client) = list_of(45).await;
    let mut next = Some("/pages/?page_size=20".to_owned());
    let mut seen = Vec::new();
    while let Some(url) = next {
        let page = client.get(&url).await.json();
        assert_eq!(page["count"], 45);
        seen.extend(page["results"].as_array().unwrap().clone());
        next = path(&page["next"]);
    }
    let expected: Vec<Value> = (1..=45).rev().map(|i| json!(format!("{i:05}"))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_ordering_comes_from_the_query_and_must_be_known() {
    let (_db, client) = list_of(3).await;
    assert_eq!(client.get("/pages/?ordering=name").await.json()["results"][0], "00001");
    assert_eq!(client.get("/pages/?ordering=-name").await.json()["results"][0], "00003");
    let refused = client.get("/pages/?ordering=password").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "invalid"));
    assert!(refused.json()["errors"]["ordering"].is_array());
    let repeated = format!("/pages/?ordering={}id", "id,".repeat(3000));
    assert_eq!(client.get(&repeated).await.code(), "invalid");
}

#[tokio::test]
async fn an_empty_list_has_one_page() {
    let (_db, client) = list_of(0).await;
    let page = client.get("/pages/").await.json();
    assert_eq!(page, json!({"count": 0, "capped": false, "next": null, "previous": null, "results": []}));
    assert_eq!(client.get("/pages/?page=2").await.status, 404);
}

#[tokio::test]
async fn a_count_is_capped_unless_an_exact_one_is_requested() {
    let (_db, client) = list_of(10_050).await;
    let page = client.get("/pages/?page_size=1").await.json();
    assert_eq!((&page["count"], &page["capped"]), (&json!(10_000), &json!(true)));
    let page = client.get("/pages/?page_size=1&count=exact").await.json();
    assert_eq!((&page["count"], &page["capped"]), (&json!(10_050), &json!(false)));
    let deepest = client.get("/pages/?page_size=100&page=100").await.json();
    assert_eq!(deepest["results"].as_array().unwrap().last().unwrap(), "00051");
    let beyond = client.get(&path(&deepest["next"]).unwrap()).await.json();
    assert_eq!((&beyond["results"][0], &beyond["results"][49]), (&json!("00050"), &json!("00001")));
    assert_eq!((&beyond["next"], &beyond["count"]), (&Value::Null, &json!(10_000)));
}

#[tokio::test]
async fn a_cursor_continues_in_every_ordering_and_invalid_ones_are_refused() {
    let (db, client) = list_of(10_020).await;
    // Unique names in an order other than that of the ids.
    let shuffle = "UPDATE thing SET name = 'n' || (id * 7919 % 10007) || '-' || id";
    db.write(|tx| async move { tx.execute_unprepared(shuffle).await }).await.unwrap();
    for ordering in ["name", "-name", "name,-id", "-id", "id"] {
        let first = client.get(&format!("/pages/?ordering={ordering}&page_size=100&page=100")).await.json();
        let next = path(&first["next"]).unwrap();
        let rest = client.get(&next).await.json();
        assert_eq!(rest["results"].as_array().unwrap().len(), 20, "{ordering}");
        assert_eq!(rest["next"], Value::Null);
        let small = client.get(&next.replace("page_size=100", "page_size=12")).await.json();
        assert_eq!(small["results"], json!(&rest["results"].as_array().unwrap()[..12]), "{ordering}");
        let end = client.get(&path(&small["next"]).unwrap()).await.json();
        assert_eq!(end["results"], json!(&rest["results"].as_array().unwrap()[12..]), "{ordering}");
        let other_ordering = next.replace(&format!("ordering={}", ordering.replace(',', "%2C")), "ordering=id,name");
        assert_eq!(client.get(&other_ordering).await.status, 400, "{other_ordering}");
    }
    for cursor in
        ["", "x", "e30", "eyJvcmRlciI6Ii1pZCIsImtleXMiOltdfQ", "%00", "eyJvcmRlciI6Ii1pZCIsImtleXMiOlsieCIsIngiXX0"]
    {
        assert_eq!(client.get(&format!("/pages/?cursor={cursor}")).await.status, 400, "{cursor}");
    }
}

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_page_size() {
    let (db, client) = list_of(60).await;
    for (path, statements) in [("/pages/?page_size=2", 2), ("/pages/?page_size=50", 2), ("/history/?limit=50", 1)] {
        let before = db.statements();
        assert_eq!(client.get(path).await.status, 200);
        assert_eq!(db.statements() - before, statements, "{path}");
    }
}

#[tokio::test]
async fn a_history_can_be_read_in_both_directions_without_gaps() {
    let (_db, client) = list_of(25).await;
    let mut next = Some("/history/?limit=10".to_owned());
    let mut seen = Vec::new();
    while let Some(url) = next {
        let page = client.get(&url).await.json();
        seen.extend(page["results"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()));
        next = path(&page["next"]);
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());
    let page = client.get("/history/?after=20").await.json();
    assert_eq!(page["results"], json!([21, 22, 23, 24, 25]));
    assert_eq!(page["next"], Value::Null);
    let previous = client.get(&path(&page["previous"]).unwrap()).await.json();
    assert_eq!(previous["results"][0], 20);
}

#[tokio::test]
async fn counting_a_few_rows_uses_an_index_and_no_full_scan() {
    let (db, _client) = list_of(20_000).await;
    db.write(|tx| async move {
        let conn = &tx;
        let parents = "UPDATE thing SET parent_id = CASE WHEN id > 19950 THEN 3 WHEN id > 9000 THEN 2 ELSE 1 END";
        conn.execute_unprepared(parents).await?;
        conn.execute_unprepared("ANALYZE thing").await?;
        Ok::<_, DbErr>(())
    })
    .await
    .unwrap();
    db.record_statements();
    let ordering = Ordering { fields: &[("id", Column::Id)], default: "-id", id: Column::Id };
    let few = Entity::find().filter(Column::ParentId.eq(3));
    let page = Page::<Thing>::fetch(few, &ordering, &PageQuery::new(1, 20), db.conn()).await.unwrap();
    assert_eq!(page.count, 50);
    let count_statement = db.record_statements().into_iter().find(|statement| statement.sql.contains("COUNT")).unwrap();
    if db.backend() != DbBackend::Postgres {
        return;
    }
    // As a prepared statement with a generic plan, which does not depend on the values.
    let plan = db.write(|tx| {
        let count_statement = count_statement.sql.clone();
        async move {
            let conn = &tx;
            conn.execute_unprepared("SET LOCAL plan_cache_mode = force_generic_plan").await?;
            conn.execute_unprepared(&format!("PREPARE count_statement AS {count_statement}")).await?;
            let explain = Statement::from_string(DbBackend::Postgres, "EXPLAIN EXECUTE count_statement(1, 3, 10001)");
            let rows = conn.query_all_raw(explain).await?;
            conn.execute_unprepared("DEALLOCATE count_statement").await?;
            rows.iter().map(|row| row.try_get_by_index::<String>(0)).collect::<Result<Vec<_>, _>>()
        }
    });
    let plan = plan.await.unwrap().join("\n");
    assert!(plan.contains("thing_parent_id") && !plan.contains("Seq Scan"), "{plan}");
}
