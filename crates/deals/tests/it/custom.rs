use std::collections::BTreeMap;

use guildhall_deals::{
    ClientPatch, Clients, CustomField, CustomFieldPatch, CustomFieldTarget, CustomFieldType, CustomFields, DealPatch,
    Deals, Filter, Merges, NewClient, NewCustomField, OrganizationId,
};
use guildhall_kernel::{CursorQuery, IfMatch};
use serde_json::{Value, json};

use crate::harness::{Harness, code, created, deal, deals, invalid_fields, page, person};

fn field(entity: CustomFieldTarget, key: &str, kind: CustomFieldType) -> NewCustomField {
    let options =
        if kind == CustomFieldType::Choice { vec!["North".to_owned(), "South".to_owned()] } else { Vec::new() };
    NewCustomField { entity, key: key.to_owned(), name: key.to_owned(), kind, options, is_required: false }
}

fn values(values: Value) -> BTreeMap<String, Value> {
    serde_json::from_value(values).unwrap()
}

async fn add(harness: &Harness, org: OrganizationId, new: NewCustomField) -> CustomField {
    harness.custom.create_custom_field(&person(1), org, new).await.unwrap()
}

async fn with_fields() -> (Harness, OrganizationId) {
    let harness = deals().await;
    let org = harness.org().await;
    for (key, kind) in [
        ("region", CustomFieldType::Choice),
        ("size", CustomFieldType::Number),
        ("signed", CustomFieldType::Day),
        ("hot", CustomFieldType::Boolean),
        ("nick", CustomFieldType::Text),
    ] {
        add(&harness, org, field(CustomFieldTarget::Deal, key, kind)).await;
    }
    (harness, org)
}

#[tokio::test]
async fn lists_are_filtered_by_custom_fields() {
    let (harness, org) = with_fields().await;
    let client = harness.client_of(1, org, "x").await.id;
    for (title, custom) in [
        ("a", json!({"region": "North", "size": "1.5", "signed": "2025-01-01", "hot": true, "nick": "Straße"})),
        ("b", json!({"region": "South", "size": "20", "signed": "2025-02-01", "hot": false})),
        ("c", json!({})),
    ] {
        let new = guildhall_deals::NewDeal { custom: values(custom), ..deal(client, title, "1") };
        harness.sales.create_deal(&person(1), org, None, new, None).await.unwrap();
    }
    for (name, value, expected) in [
        ("cf_region", "North", "a"),
        ("cf_region__in", "North, South", "ab"),
        ("cf_size", "1.50", "a"),
        ("cf_size__gt", "2", "b"),
        ("cf_size__lte", "20", "ab"),
        ("cf_signed__gte", "2025-01-15", "b"),
        ("cf_hot", "false", "b"),
        ("cf_nick", "STRASSE", "a"),
        ("cf_hot__isnull", "true", "c"),
        ("cf_hot__isnull", "false", "ab"),
    ] {
        let mut titles = harness.titles(1, org, &[(name, value)]).await;
        titles.sort();
        assert_eq!(titles.concat(), expected, "{name}={value}");
    }
    let me = &person(1);
    for (name, value) in [
        ("cf_none", "1"),
        ("cf_size", "many"),
        ("cf_region", "West"),
        ("cf_nick__gt", "a"),
        ("cf_hot__isnull", "maybe"),
        ("cf_size__near", "1"),
    ] {
        let list = harness.deals.sales.deals(me, org, None, Filter::new([(name, value)]), page()).await;
        assert_eq!(invalid_fields(list), [name]);
    }
}

#[tokio::test]
async fn custom_values_are_audited_and_deleted_with_their_field() {
    let (harness, org) = with_fields().await;
    let me = &person(1);
    let client = harness.client_of(1, org, "x").await.id;
    let new = guildhall_deals::NewDeal { custom: values(json!({"size": 3, "hot": true})), ..deal(client, "x", "1") };
    let before = created(harness.sales.create_deal(me, org, None, new, None).await.unwrap());
    assert_eq!(before.custom, values(json!({"size": "3", "hot": true})));
    let patch = DealPatch { custom: Some(values(json!({"size": "4.25", "hot": null}))), ..DealPatch::default() };
    let after = harness.sales.change_deal(me, org, before.id.into(), patch, IfMatch::default()).await.unwrap();
    assert_eq!(after.custom, values(json!({"size": "4.25"})));
    assert!(harness.titles(1, org, &[("cf_hot", "true")]).await.is_empty());
    let then = Deals::deal(&harness.deals.sales, me, org, before.id.into(), Some(before.updated_at)).await.unwrap();
    assert_eq!(then.custom, before.custom);
    let log = harness.sales.deal_changes(me, org, before.id.into(), CursorQuery::newest(1)).await.unwrap();
    assert_eq!(log.results[0].changes["custom.size"], (json!("3"), json!("4.25")));
    assert_eq!(log.results[0].changes["custom.hot"], (json!(true), json!(null)));

    let invalid = DealPatch { custom: Some(values(json!({"size": 0.1, "what": 1}))), ..DealPatch::default() };
    let refused = harness.sales.change_deal(me, org, before.id.into(), invalid, IfMatch::default()).await;
    assert_eq!(invalid_fields(refused), ["custom.size", "custom.what"]);
    assert_eq!(harness.read(1, org, before.id).await.custom, after.custom);

    let fields = harness.custom.custom_fields(me, org, page()).await.unwrap().results;
    let size = fields.iter().find(|field| field.key == "size").unwrap();
    harness.custom.delete_custom_field(me, org, size.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.read(1, org, before.id).await.custom, values(json!({})));
    assert_eq!(harness.db.count_rows("deals_custom_value").await, 0);
    // A new field with the same key does not have the old values.
    add(&harness, org, field(CustomFieldTarget::Deal, "size", CustomFieldType::Text)).await;
    assert_eq!(harness.read(1, org, before.id).await.custom, values(json!({})));
}

#[tokio::test]
async fn custom_fields_have_unique_keys_and_require_a_permission() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let me = &person(1);
    let region = add(&harness, org, field(CustomFieldTarget::Client, "region", CustomFieldType::Choice)).await;
    let duplicate = field(CustomFieldTarget::Client, "region", CustomFieldType::Text);
    assert_eq!(code(harness.custom.create_custom_field(me, org, duplicate).await), "duplicate");
    add(&harness, org, field(CustomFieldTarget::Deal, "region", CustomFieldType::Text)).await;
    let by_another = harness
        .custom
        .create_custom_field(&person(2), org, field(CustomFieldTarget::Deal, "x", CustomFieldType::Text))
        .await;
    assert_eq!(code(by_another), "not_granted");
    for key in ["", "Region", "a__b", "a_", "1a", "a-b"] {
        let new = NewCustomField { name: "x".to_owned(), ..field(CustomFieldTarget::Deal, key, CustomFieldType::Text) };
        assert_eq!(invalid_fields(harness.custom.create_custom_field(me, org, new).await), ["key"], "{key}");
    }
    let without =
        NewCustomField { options: Vec::new(), ..field(CustomFieldTarget::Deal, "pick", CustomFieldType::Choice) };
    assert_eq!(invalid_fields(harness.custom.create_custom_field(me, org, without).await), ["options"]);

    let required = CustomFieldPatch { is_required: Some(true), ..CustomFieldPatch::default() };
    harness.custom.change_custom_field(me, org, region.id, required, IfMatch::default()).await.unwrap();
    let new = NewClient { name: "x".to_owned(), ..NewClient::default() };
    assert_eq!(invalid_fields(harness.clients.create_client(me, org, new.clone()).await), ["custom.region"]);
    let new = NewClient { custom: values(json!({"region": "South"})), ..new };
    let client = harness.clients.create_client(me, org, new).await.unwrap();
    assert_eq!(client.custom, values(json!({"region": "South"})));
    let cleared = ClientPatch { custom: Some(values(json!({"region": null}))), ..ClientPatch::default() };
    assert_eq!(
        invalid_fields(harness.clients.change_client(me, org, client.id, cleared, IfMatch::default()).await),
        ["custom.region"]
    );
    let other = harness.org_of(3, "Other").await;
    assert_eq!(code(harness.custom.custom_field(&person(3), other, region.id).await), "not_found");
}

#[tokio::test]
async fn merging_fills_empty_custom_fields() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    for key in ["a", "b"] {
        add(&harness, org, field(CustomFieldTarget::Client, key, CustomFieldType::Text)).await;
    }
    let named =
        |name: &str, custom: Value| NewClient { name: name.to_owned(), custom: values(custom), ..NewClient::default() };
    let one = harness.clients.create_client(me, org, named("one", json!({"a": "mine"}))).await.unwrap().id;
    let other =
        harness.clients.create_client(me, org, named("other", json!({"a": "theirs", "b": "more"}))).await.unwrap().id;
    let merged = harness.clients.merge_clients(me, org, one, other).await.unwrap();
    assert_eq!(merged.custom, values(json!({"a": "mine", "b": "more"})));
    let count = async |name: &str, value: &str| {
        let filter = Filter::new([(name, value)]);
        harness.clients.clients(me, org, filter, page()).await.unwrap().results.len()
    };
    assert_eq!((count("cf_b", "more").await, count("cf_a", "mine").await, count("cf_a", "theirs").await), (1, 1, 0));
}
